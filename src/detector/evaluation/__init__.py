"""How good detections are: CLEval by characters, IoU by boxes, kinds of mistakes, pictures."""

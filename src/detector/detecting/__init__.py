"""From a page to its outlines: probability map → outlines, image → outlines, several maps → one.

It knows neither torch nor onnxruntime: a network is a function from a picture to a map.
"""

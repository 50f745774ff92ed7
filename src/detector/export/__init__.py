"""ONNX files with their cards, what runs them, and the detector that reads pages with one."""

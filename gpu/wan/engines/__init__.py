"""What executes a pass of the network: PyTorch, ONNX Runtime, TensorRT, behind one interface (base.py)."""

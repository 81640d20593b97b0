"""From PyTorch to ONNX: export, clean-up, parity, calibration, quantization, fp16."""

if __name__ != "edgekit.export":
    raise ImportError("This folder is the package edgekit.export; import it by that name.")

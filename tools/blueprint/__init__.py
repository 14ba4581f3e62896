"""What tools/hardware.py makes out of hardware/device.toml, one module for each thing."""

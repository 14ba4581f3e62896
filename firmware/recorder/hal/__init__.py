"""Hardware, behind one thin layer: the only place that knows pins and peripherals.

Each `name.pyi` beside this file is the contract of one module. The chip's modules stand beside their stubs; the virtual
recorder brings its own under the same names. Nothing else in the firmware may know which of the two it runs on.
"""

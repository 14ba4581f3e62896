"""The virtual recorder's hardware, one module for each stub in firmware/recorder/hal."""

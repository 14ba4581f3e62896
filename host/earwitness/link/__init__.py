"""The computer's end of the link to the recorder (firmware/LINK.md)."""

"""Putting the firmware on a recorder: what is put there (`image`, `drivers`), the board at its prompt (`board`), and the order of it."""

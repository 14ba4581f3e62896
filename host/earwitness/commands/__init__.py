"""One file per command. Each is a plain function; `console.command` gives it the options that all share."""

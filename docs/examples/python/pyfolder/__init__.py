"""A driver of Onitu for a folder of this machine, written from `docs/protocol.md`."""

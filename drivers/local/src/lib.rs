//! The local driver: a folder of this machine.

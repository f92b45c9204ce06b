//! A driver whose service lives in memory, for tests and the simulation.

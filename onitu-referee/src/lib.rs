//! The decision: observation + record + targets -> record' + work.

//! The SFTP driver keeps every promise of the trait, against OpenSSH's own server.

mod fixture;

onitu_conformance::suite!(fixture::Remote);

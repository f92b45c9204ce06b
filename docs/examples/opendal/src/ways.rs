//! Which of opendal's services can be used safely, by what they say of themselves.
//!
//! Onitu never overwrites what it hasn't seen. So a service must be able to give a thing a new name
//! without replacing what has that name by then: everything in `swap` rests on it. What a service
//! says is opendal's `Capability`; of WebDAV it says too little, and `fence` adds what is missing.

use onitu_plug::Fault;
use opendal::Capability;

use crate::fault::unavailable;

/// The one service whose renames are fenced.
const FENCED: &str = "webdav";

/// Refuses a service that can't do what every change needs, with all that is missing.
pub(crate) fn check(scheme: &str, can: Capability) -> Result<(), Fault> {
    let needed = [
        ("tell what stands at a path", can.stat),
        ("list a directory", can.list),
        ("read", can.read),
        ("write", can.write),
        ("write an empty file", can.write_can_empty),
        ("make a directory", can.create_dir),
        ("delete", can.delete),
        ("rename", can.rename),
        (
            "rename without replacing what is there",
            can.rename_with_if_not_exists || scheme == FENCED,
        ),
    ];
    let missing: Vec<&str> =
        needed.into_iter().filter(|(_, can)| !can).map(|(what, _)| what).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(unavailable(format!(
        "`{scheme}` can't be used safely: opendal's service is not able to {}. Without that a file \
         somebody saves in the wrong moment would be lost; use another `scheme`",
        missing.join(", nor to ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_refused_with_all_that_it_lacks() {
        let all = Capability {
            stat: true,
            list: true,
            read: true,
            write: true,
            write_can_empty: true,
            create_dir: true,
            delete: true,
            rename: true,
            ..Capability::default()
        };
        assert!(check("webdav", all).is_ok());
        let fault = check("fs", all).expect_err("it replaces");
        assert!(fault.message.contains("without replacing what is there"), "{fault}");
        assert!(check("new", Capability { rename_with_if_not_exists: true, ..all }).is_ok());
        let less = Capability { rename: false, write_can_empty: false, ..all };
        let fault = check("ftp", less).expect_err("it can't rename");
        let told = "write an empty file, nor to rename, nor to rename without";
        assert!(fault.message.contains(told), "{fault}");
    }
}

//! How editors save: each pattern ends with the same bytes everywhere and without a conflict.

use std::fs::OpenOptions;
use std::io::Write;

use onitu_tests::{Files, House, tree};

/// Saves by `save` many times, some of them before the last one has arrived.
fn saving(save: impl Fn(&Files, &str)) {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    files.write("docs/letter.txt", "version 0");
    house.wait();
    for round in 1..=15 {
        save(&files, &format!("version {round}"));
        if round % 4 == 0 {
            house.wait();
        }
    }
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("docs/letter.txt").unwrap(), b"version 15");
    assert_eq!(
        tree(house.root("b")).len(),
        2,
        "something else is left: {:?}",
        tree(house.root("b"))
    );
    assert_eq!(house.status()["conflicts"], 0);

    // The other side sees the same file, and may edit it at once.
    save(&house.files("b"), "version from b");
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("a").read("docs/letter.txt").unwrap(), b"version from b");
}

#[test]
fn vim_renames_to_a_backup_and_writes_anew() {
    saving(|files, text| {
        files.write("docs/.letter.txt.swp", "swap");
        files.write("docs/4913", "");
        files.remove("docs/4913");
        files.rename("docs/letter.txt", "docs/letter.txt~");
        files.write("docs/letter.txt", text);
        files.remove("docs/letter.txt~");
        files.remove("docs/.letter.txt.swp");
    });
}

#[test]
fn gedit_writes_beside_and_renames_over() {
    saving(|files, text| {
        files.write("docs/.goutputstream-X1Y2Z3", text);
        files.rename("docs/.goutputstream-X1Y2Z3", "docs/letter.txt");
    });
}

#[test]
fn nano_truncates_and_writes() {
    saving(|files, text| files.write("docs/letter.txt", text));
}

#[test]
fn kate_links_a_backup_and_renames_over() {
    saving(|files, text| {
        std::fs::hard_link(files.at("docs/letter.txt"), files.at("docs/letter.txt~")).unwrap();
        files.write("docs/letter.txt.part", text);
        files.rename("docs/letter.txt.part", "docs/letter.txt");
        files.remove("docs/letter.txt~");
    });
}

#[test]
fn an_office_suite_keeps_a_lock_file_and_writes_over_a_removed_one() {
    saving(|files, text| {
        files.write("docs/.~lock.letter.txt#", ",ada,laptop,01.01.2026 12:00;");
        files.write("docs/lu4711.tmp", text);
        files.remove("docs/letter.txt");
        files.rename("docs/lu4711.tmp", "docs/letter.txt");
        files.remove("docs/.~lock.letter.txt#");
    });
}

#[test]
fn a_word_processor_swaps_by_two_renames() {
    saving(|files, text| {
        files.write("docs/~WRD0001.tmp", text);
        files.rename("docs/letter.txt", "docs/~WRL0002.tmp");
        files.rename("docs/~WRD0001.tmp", "docs/letter.txt");
        files.remove("docs/~WRL0002.tmp");
    });
}

#[test]
fn a_database_writes_in_the_middle_with_the_file_open() {
    let house = House::new(&["a", "b"]);
    let files = house.files("a");
    files.write("base.db", vec![0; 1 << 20]);
    house.wait();
    let mut open = OpenOptions::new().write(true).open(files.at("base.db")).unwrap();
    for round in 0..50_u64 {
        use std::io::{Seek, SeekFrom};
        open.seek(SeekFrom::Start(round * 4096)).unwrap();
        open.write_all(&round.to_le_bytes()).unwrap();
    }
    drop(open);
    house.wait();
    house.assert_alike();
    assert_eq!(house.status()["conflicts"], 0);
}

//! What differs by system stands in one place of each crate.

use std::fs;
use std::path::{Path, PathBuf};

/// Where it may stand: one folder or file of each crate, and of the classes and modules beside it.
const PLACES: [(&str, &str, &str); 6] = [
    ("core/src", "rs", "core/src/resource/sys/"),
    ("ffi-c/src", "rs", "ffi-c/src/sys/"),
    ("bindings-java/src", "rs", "bindings-java/src/sys"),
    (
        "bindings-java/src/main",
        "java",
        "bindings-java/src/main/java/io/github/d365failover/impl/Native",
    ),
    ("bindings-python/src", "rs", "bindings-python/src/sys/"),
    (
        "bindings-python/python",
        "py",
        "bindings-python/python/d365_failover/_sys/",
    ),
];

/// By what a source asks for a system, or calls it past the standard library.
const RUST: [&str; 18] = [
    "(unix)",
    "(unix,",
    "(windows)",
    "(windows,",
    " unix)",
    " windows)",
    "target_os",
    "target_family",
    "target_env",
    "target_vendor",
    "cfg_select!",
    "::os::",
    "std::os",
    "libc::",
    "nix::",
    "rustix::",
    "windows_sys::",
    "env::consts",
];
const JAVA: [&str; 2] = ["\"os.name\"", "\"os.arch\""];
/// Also by what only some loops have: the descriptors of others are no business of theirs.
const PYTHON: [&str; 5] = [
    "sys.platform",
    "os.name",
    "platform.system",
    "add_reader",
    "import fcntl",
];

#[test]
fn what_differs_by_system_stands_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut strays = Vec::new();
    for (folder, extension, place) in PLACES {
        let words: &[&str] = match extension {
            "rs" => &RUST,
            "py" => &PYTHON,
            _ => &JAVA,
        };
        let sources = sources(&root.join(folder), extension);
        assert!(!sources.is_empty(), "{folder} has no .{extension}");
        for source in sources {
            let name = source.strip_prefix(root).unwrap().to_str().unwrap();
            let text = fs::read_to_string(&source).unwrap();
            for (number, line) in (1..).zip(text.lines()) {
                let is_comment = line.trim_start().starts_with(['/', '*', '#']) && !is_cfg(line);
                let word = words.iter().find(|word| line.contains(**word));
                if let Some(word) = word
                    && !is_comment
                    && !name.starts_with(place)
                {
                    strays.push(format!("{name}:{number}: {word}"));
                }
            }
        }
    }
    assert!(strays.is_empty(), "{strays:#?}");
}

fn is_cfg(line: &str) -> bool {
    line.trim_start().starts_with("#[") || line.trim_start().starts_with("#![")
}

/// All files below a folder that end so.
fn sources(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path, extension));
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    found
}

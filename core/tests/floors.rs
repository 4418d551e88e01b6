//! The floors of this crate, read from its files: each imports only from those under it, and the
//! decisions have neither I/O nor clock nor chance.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Folders whose files belong together: they are one room.
const ROOMS: [&str; 11] = [
    "classify",
    "client",
    "decide/switch",
    "ending",
    "operation",
    "parts",
    "resource/ledger",
    "resource/state",
    "resource/transport",
    "rewrite",
    "settings",
];

/// What the decisions do without. (`Instant` is a word there: the time is handed in.)
const NOT_TO_DECIDE_WITH: [&str; 9] = [
    "tokio",
    "async ",
    "::now()",
    "elapsed()",
    "rand::",
    "std::fs",
    "TcpStream",
    "std::thread",
    "Mutex",
];

/// Files without their tests and comments, by what stands before `.rs`.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('\\', "/");
            if name.ends_with("tests") || name == "lib" || name == "fuzzing" || name == "machines" {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let lines = product.lines().map(|line| line.split("//").next().unwrap());
            found.insert(name, lines.collect::<Vec<_>>().join("\n"));
        }
    }
    assert!(found.len() > 100, "{} files", found.len());
    found
}

/// The room that a path of modules leads to.
fn room(path: &[&str], rooms: &BTreeSet<String>) -> Option<String> {
    let joined = |count: usize| path[..count].join("/");
    (1..=path.len()).rev().map(joined).find_map(|module| {
        let whole = ROOMS.iter().find(|room| {
            module
                .strip_prefix(**room)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        whole
            .map(|room| (*room).to_owned())
            .or_else(|| rooms.contains(&module).then_some(module))
    })
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        return if path.is_empty() {
            Vec::new()
        } else {
            vec![path.to_owned()]
        };
    };
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let mut depth = 0;
    let branches = inner.split(|letter: char| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    let branches = branches.flat_map(expanded);
    branches
        .map(|branch| format!("{}{branch}", &tree[..open]))
        .collect()
}

/// The paths that a text imports, or names from the crate's root.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let tree = text[at + 4..].split(';').next().unwrap();
        if ["crate::", "super::", "self::"]
            .iter()
            .any(|start| tree.starts_with(start))
        {
            found.extend(expanded(tree));
        }
    }
    for (at, _) in text.match_indices("crate::") {
        let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
        let path = text[at..].split(|letter| !is_path(letter)).next().unwrap();
        found.push(path.trim_end_matches(':').to_owned());
    }
    found
}

/// Which room imports from which, and by what name.
fn arrows() -> BTreeMap<String, BTreeMap<String, String>> {
    let sources = sources();
    let name = |module: &str| module.strip_suffix("/mod").unwrap_or(module).to_owned();
    let modules: BTreeSet<String> = sources.keys().map(|module| name(module)).collect();
    // What stands at the crate's root is some module's.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let root = fs::read_to_string(root).unwrap();
    let mut exported = BTreeMap::new();
    for item in root.split("pub use ").skip(1) {
        for path in expanded(item.split(';').next().unwrap()) {
            exported.insert(path.rsplit("::").next().unwrap().to_owned(), path);
        }
    }
    let mut arrows: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (module, text) in &sources {
        let module = name(module);
        let here: Vec<&str> = module.split('/').collect();
        let from = room(&here, &modules).unwrap();
        for import in imports(text) {
            let mut path: Vec<&str> = import.split("::").collect();
            let mut base = here.clone();
            match path.remove(0) {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                _ => {}
            }
            while path.first() == Some(&"super") {
                path.remove(0);
                base.pop();
            }
            base.extend(path);
            if let Some(path) = base
                .first()
                .filter(|_| base.len() == 1)
                .and_then(|name| exported.get(*name))
            {
                base = path.split("::").collect();
            }
            if let Some(to) = room(&base, &modules).filter(|to| *to != from) {
                arrows.entry(from.clone()).or_default().insert(to, import);
            }
        }
    }
    arrows
}

fn floor(room: &str) -> usize {
    match room.split('/').next().unwrap() {
        "client" => 3,
        "resource" => 2,
        "decide" => 1,
        _ => 0,
    }
}

#[test]
fn each_floor_imports_only_from_those_under_it() {
    let arrows = arrows();
    assert!(arrows["client"].contains_key("decide/switch"));
    for (from, targets) in &arrows {
        for (to, import) in targets {
            assert!(floor(to) <= floor(from), "{from} imports {import}");
        }
    }
}

/// The rooms that a room's imports lead to, however far.
fn reached(from: &str, arrows: &BTreeMap<String, BTreeMap<String, String>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(room) = next.pop() {
        for target in arrows.get(room).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(target.clone()) {
                next.push(target);
            }
        }
    }
    reached
}

#[test]
fn there_is_no_circle_among_the_rooms() {
    let arrows = arrows();
    let rooms = arrows.keys();
    let reached: BTreeMap<_, _> = rooms.map(|room| (room, reached(room, &arrows))).collect();
    let mut circles = Vec::new();
    for (from, targets) in &arrows {
        for (to, import) in targets {
            if reached.get(to).is_some_and(|far| far.contains(from)) {
                circles.push(format!("{from} imports {import}"));
            }
        }
    }
    assert!(circles.is_empty(), "in circles:\n{}", circles.join("\n"));
}

#[test]
fn the_decisions_have_no_io_no_clock_and_no_chance() {
    for (module, text) in sources() {
        if !module.starts_with("decide/") {
            continue;
        }
        for forbidden in NOT_TO_DECIDE_WITH {
            assert!(!text.contains(forbidden), "{module} has {forbidden:?}");
        }
    }
}

#[test]
fn the_client_knows_no_preset() {
    for (module, text) in sources() {
        if module.starts_with("client/") {
            assert!(!text.contains("Preset"), "{module}");
            assert!(
                !text.contains("settings.preset") || module == "client/opening",
                "{module}"
            );
        }
    }
}

#[test]
fn each_decision_has_unit_tests() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decide")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            // A file of modules decides nothing.
            if name.ends_with("tests") || !text.contains("fn ") {
                continue;
            }
            let has_tests = text.contains("#[cfg(test)]\n");
            assert!(has_tests, "{} has no unit tests", path.display());
        }
    }
}

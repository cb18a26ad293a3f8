//! The bundle in `ui/dist`, which the binary embeds, is the one made of the sources beside it. Told by hashes, so that
//! nobody needs node for it; `scripts/page check` makes the bundle anew and compares its bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

const UI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui");
const HINT: &str = "run `scripts/page build` and commit ui/dist with the sources";

/// The one SHA-256 among the dependencies.
fn sha256(bytes: &[u8]) -> String {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is a suite of TLS 1.3");
    hex::encode(suite.common.hash_provider.hash(bytes))
}

/// Hashes by paths below `ui/`, as `sha256sum` prints them.
fn told() -> BTreeMap<String, String> {
    let sums = fs::read_to_string(format!("{UI}/dist/sources.sha256")).expect("the bundle has its hashes");
    let split = |line: &str| line.split_once("  ").map(|(hash, path)| (path.to_owned(), hash.to_owned()));
    sums.lines().map(|line| split(line).expect("a hash and a path")).collect()
}

/// Paths of all files below a folder of `ui/`.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(UI).join(folder)).expect("the folder is there") {
        let entry = entry.expect("a file that was just listed");
        let path = format!("{folder}/{}", entry.file_name().to_str().expect("names are plain"));
        if entry.file_type().expect("a file that was just listed").is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

#[test]
fn the_bundle_is_made_of_the_sources_beside_it() {
    let told = told();
    let changed = |(path, hash): &(&String, &String)| {
        !fs::read(Path::new(UI).join(path)).is_ok_and(|bytes| sha256(&bytes) == **hash)
    };
    let differs: Vec<_> = told.iter().filter(changed).map(|(path, _)| path).collect();
    assert!(differs.is_empty(), "changed or gone since the page was built: {differs:?}; {HINT}");
    assert!(
        told.keys().any(|path| path == "src/main.tsx") && told.keys().any(|path| path == "dist/app.js"),
        "{told:?}"
    );
}

#[test]
fn no_source_is_missing_from_the_bundle() {
    let told = told();
    let sources: Vec<_> = ["src", "static"].into_iter().flat_map(files).collect();
    assert!(!sources.is_empty());
    let new: Vec<_> = sources.iter().filter(|path| !told.contains_key(*path)).collect();
    assert!(new.is_empty(), "new since the page was built: {new:?}; {HINT}");
}

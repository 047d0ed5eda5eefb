//! Lock files: what is read is written as a file that reads as the same, and is added to a graph or says why not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metaxy_store::FeatureGraph;
use metaxy_store::system::LockFile;

fuzz_target!(|text: &str| {
    let Ok(lock) = LockFile::parse(text) else {
        return;
    };
    let written = lock.render();
    let again = LockFile::parse(&written);
    assert!(
        matches!(&again, Ok(again) if *again == lock),
        "{lock:?} is written as {written}: {again:?}"
    );
    assert_eq!(lock.render(), written);
    if let Ok(graph) = lock.add_to(&FeatureGraph::new()) {
        assert_eq!(graph.len(), lock.features.len());
        for key in graph.keys() {
            let _ = graph.feature_version(key);
            let _ = graph.plan(key);
        }
    }
});

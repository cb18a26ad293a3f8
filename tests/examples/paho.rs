//! examples/paho: the demo's nodes, heard and commanded by Python.

use super::demo::Demo;
use super::folder::Folder;
use super::runtime;

#[tokio::test]
async fn subscribe_prints_readings_and_ends_after_as_many_as_asked() {
    let Some((folder, _demo)) = set().await else { return };
    let (status, said) = folder.run("python3 subscribe.py").ended().await;
    assert!(status.success(), "{said}");
    assert_eq!(said.lines().count(), 6, "{said}");
    assert!(said.lines().all(|line| line.starts_with("20") && line.contains('=')), "{said}");
}

#[tokio::test]
async fn subscribe_prints_the_devices_that_are_named_only() {
    let Some((folder, _demo)) = set().await else { return };
    let (status, said) = folder.run_line("python3 subscribe.py --port 1884 --count 2 living-room").ended().await;
    assert!(status.success(), "{said}");
    assert!(said.lines().all(|line| line.contains(" living-room ") && line.contains(" temperature=")), "{said}");
}

#[tokio::test]
async fn publish_follows_a_command_until_the_node_has_it() {
    let Some((folder, _demo)) = set().await else { return };
    let (status, said) = folder.run("python3 publish.py").ended().await;
    let steps: Vec<_> = said.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!((status.code(), &steps[..]), (Some(0), &["accepted", "queued", "sent", "acked"][..]), "{said}");
}

#[tokio::test]
async fn publish_says_why_a_command_is_refused() {
    let Some((folder, _demo)) = set().await else { return };
    let (status, said) = folder.run_line("python3 publish.py --port 1884 living-room lamp=true").ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("failed") && said.contains("there are led, interval"), "{said}");
}

async fn set() -> Option<(Folder, Demo)> {
    let python = runtime::python()?;
    let demo = Demo::start().await;
    let folder = Folder::of("paho").instead("python3", python.display()).instead("1884", demo.port);
    Some((folder, demo))
}

//! Codecs on the disk: found there, changed while the bridge runs, broken, gone, and in a clone of the device repository.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{APP, Ferry, Setup, Stage, uplink};

/// A table for one byte in a field of this name.
fn table(field: &str) -> String {
    format!("[[uplink]]\nport = 2\nfields = [{{ name = '{field}', type = 'u8', unit = 'cm' }}]\n")
}

/// A script whose answer is this.
fn script(answer: &str) -> String {
    format!("function decodeUplink(input) {{\n  return {{data: {{answer: '{answer}'}}}};\n}}")
}

/// A bridge whose clone of the device repository holds one model with one codec, in our own words.
async fn with_clone(change: impl FnOnce(&mut Setup)) -> Ferry {
    let stage = Stage::set(|setup| {
        setup.codec_lines = "device_repository = \"clone\"";
        change(setup);
    })
    .await;
    let vendor = stage.folder().join("clone/vendor/acme");
    fs::create_dir_all(&vendor).unwrap();
    let device = "firmwareVersions: [{ version: '1.2', profiles: { EU863-870: { id: p, codec: probe-codec } } }]";
    fs::write(vendor.join("probe.yaml"), device).unwrap();
    fs::write(vendor.join("probe-codec.yaml"), "uplinkDecoder: { fileName: probe.js }").unwrap();
    fs::write(vendor.join("probe.js"), script("from the clone")).unwrap();
    let mut ferry = Ferry::on(stage).await;
    ferry.network.subscribed().await;
    ferry
}

/// An uplink of a product that the network knows.
fn of_product(f_cnt: u32, firmware: &str) -> Value {
    let mut message = uplink(f_cnt, &[7]);
    message["uplink_message"]["version_ids"] =
        json!({"brand_id": "acme", "model_id": "probe", "firmware_version": firmware, "band_id": "EU_863_870"});
    message
}

impl Ferry {
    fn write_codec(&self, file: &str, text: &str) {
        fs::write(self.folder().join("codecs").join(file), text).unwrap();
    }

    /// What the next uplink of a device is published as.
    async fn read(&mut self, device: &str, f_cnt: u32) -> Value {
        self.network.up(device, f_cnt, &[7]);
        self.published(device, f_cnt).await
    }

    async fn published(&mut self, device: &str, f_cnt: u32) -> Value {
        let topic = format!("ttn/{device}/uplink");
        let wanted = |heard: &crate::harness::Heard| heard.topic == topic && heard.json()["f_cnt"] == f_cnt;
        self.home.wait_for("the uplink", wanted).await.json()
    }

    /// Waits until the list of devices says this of the only one's codec.
    async fn lists(&mut self, codec: Value) -> Value {
        let wanted =
            |heard: &crate::harness::Heard| heard.topic == "ttn/bridge/devices" && heard.json()[0]["codec"] == codec;
        self.home.wait_for(&format!("{codec} in the list"), wanted).await.json()
    }
}

#[tokio::test]
async fn a_changed_codec_is_used_without_a_restart_and_a_broken_one_leaves_the_old_one_running() {
    let mut ferry = Ferry::with(|setup| setup.add_codec("node", &script("one"))).await;
    assert_eq!(ferry.read("node", 1).await["fields"]["answer"], "one");

    ferry.write_codec("node.js", &script("two"));
    assert_eq!(ferry.home.event("codec_reloaded").await["codec"], "node");
    assert_eq!(ferry.read("node", 2).await["fields"]["answer"], "two");

    ferry.write_codec("node.js", "function decodeUplink() {\n  return {{;\n}");
    let broken = ferry.home.event("codec_broken").await;
    assert_eq!((&broken["codec"], &broken["line"]), (&json!("node"), &json!(2)), "{broken}");
    assert!(broken["error"].as_str().unwrap().contains("does not load"), "{broken}");
    assert_eq!(ferry.read("node", 3).await["fields"]["answer"], "two");

    ferry.home.forget();
    ferry.write_codec("node.js", &script("three"));
    ferry.home.event("codec_reloaded").await;
    assert_eq!(ferry.read("node", 4).await["fields"]["answer"], "three");
}

/// Over it by a rename, as most do; the old one renamed before, as vim does; a folder in place of a folder.
#[tokio::test]
async fn a_codec_is_picked_up_however_its_editor_saves_it() {
    let mut ferry = Ferry::with(|setup| setup.add_codec("node", &script("0"))).await;
    assert_eq!(ferry.read("node", 1).await["fields"]["answer"], "0");
    let codecs = ferry.folder().join("codecs");
    let at = |name: &str| codecs.join(name);
    let over = |text: &str| {
        fs::write(at(".node.js.tmp"), text).unwrap();
        fs::rename(at(".node.js.tmp"), at("node.js")).unwrap();
    };
    let aside = |text: &str| {
        fs::rename(at("node.js"), at("node.js~")).unwrap();
        fs::write(at("node.js"), text).unwrap();
        fs::remove_file(at("node.js~")).unwrap();
    };
    let folder = |text: &str| {
        fs::create_dir(at(".new")).unwrap();
        fs::write(at(".new/codec.js"), text).unwrap();
        if at("node").is_dir() {
            fs::rename(at("node"), at(".old")).unwrap();
        }
        fs::rename(at(".new"), at("node")).unwrap();
        fs::remove_file(at("node.js")).ok();
    };
    let below = |text: &str| fs::write(at("node/codec.js"), text).unwrap();
    let ways: [&dyn Fn(&str); 6] = [&over, &aside, &over, &folder, &folder, &below];
    for (f_cnt, way) in (2..).zip(ways) {
        ferry.home.forget();
        way(&script(&f_cnt.to_string()));
        ferry.home.event("codec_reloaded").await;
        assert_eq!(ferry.read("node", f_cnt).await["fields"]["answer"], f_cnt.to_string());
    }
}

#[tokio::test]
async fn a_table_that_comes_is_used_and_one_that_goes_is_not() {
    let mut ferry = Ferry::start().await;
    assert_eq!(ferry.read("node", 1).await.get("fields"), None);
    let none = ferry.home.wait_for("no codec in the list", |heard| {
        heard.topic == "ttn/bridge/devices" && heard.json()[0]["codec"]["chosen_by"] == "none"
    });
    assert!(none.await.json()[0]["codec"]["hint"].as_str().unwrap().contains("ferry-codec"));

    ferry.write_codec("node.toml", &table("depth"));
    ferry.home.event("codec_reloaded").await;
    let listed = ferry.lists(json!({"name": "node", "chosen_by": "codec folder"})).await;
    assert_eq!((&listed[0]["fields"][0]["name"], &listed[0]["fields"][0]["unit"]), (&json!("depth"), &json!("cm")));
    let told = ferry.read("node", 2).await;
    assert_eq!((&told["fields"], &told["codec"]), (&json!({"depth": 7}), &json!("node")));

    ferry.home.forget();
    fs::remove_file(ferry.folder().join("codecs/node.toml")).unwrap();
    ferry.lists(Value::Null).await;
    assert_eq!(ferry.read("node", 3).await.get("fields"), None);
}

#[tokio::test]
async fn a_product_is_found_in_the_clone_of_the_device_repository_and_followed_there() {
    let mut ferry = with_clone(|_| ()).await;
    ferry.network.handle.publish_up(APP, "node", &of_product(1, "1.2"));
    let told = ferry.published("node", 1).await;
    let name = "device-repository/acme/probe-codec";
    assert_eq!((&told["fields"]["answer"], &told["codec"]), (&json!("from the clone"), &json!(name)));
    ferry.lists(json!({"name": name, "chosen_by": "device repository"})).await;

    // Watched from the first look on: what changed before that would be seen, too.
    fs::write(ferry.folder().join("clone/vendor/acme/probe.js"), script("pulled")).unwrap();
    assert_eq!(ferry.home.event("codec_reloaded").await["codec"], name);
    assert_eq!(ferry.read("node", 2).await["fields"]["answer"], "pulled");
}

#[tokio::test]
async fn an_unknown_firmware_has_no_codec_in_the_clone_and_the_folder_goes_before_it() {
    let mut ferry = with_clone(|setup| setup.add_codec("own-node", &script("own"))).await;
    for (device, firmware, answer) in [("node", "9.9", Value::Null), ("own-node", "1.2", json!("own"))] {
        ferry.network.handle.publish_up(APP, device, &of_product(1, firmware));
        assert_eq!(ferry.published(device, 1).await["fields"]["answer"], answer, "{device}");
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_told_and_passed_over() {
    let mut ferry = Ferry::with(|setup| setup.application = "codec = \"cayenne-lpp\"".into()).await;
    ferry.write_codec("node.toml", "[[uplink]]\nfields = [{ name = 'a', typ = 'u8' }]");
    ferry.network.up("node", 1, &hex::decode("03670110").unwrap());
    let broken = ferry.home.event("codec_broken").await;
    assert_eq!((&broken["codec"], &broken["line"]), (&json!("node"), &json!(2)), "{broken}");
    assert_eq!(ferry.published("node", 1).await["codec"], "cayenne-lpp");
}

#[tokio::test]
async fn what_a_script_says_of_its_own_fields_is_listed_once_it_is_loaded() {
    let described = "function getHaDeviceInfo() { return {entities: {answer: {entity_conf: {\
                     value_template: '{{ value_json.object.answer | int }}', unit_of_measurement: 'cm'}}}}; }";
    let text = format!("{}\n{described}", script("7"));
    let mut ferry = Ferry::with(|setup| setup.add_codec("node", &text)).await;
    ferry.read("node", 1).await;
    let wanted = |heard: &crate::harness::Heard| {
        heard.topic == "ttn/bridge/devices" && heard.json()[0]["fields"][0]["unit"] == "cm"
    };
    ferry.home.wait_for("the field's unit in the list", wanted).await;
}

//! Relative paths start at the file they stand in.

use std::path::{Path, PathBuf};

use super::Config;

impl Config {
    pub(super) fn make_paths_absolute(&mut self, folder: &Path) {
        let Self { application, home, device, codecs, store, service, web, .. } = self;
        let applications = application.iter_mut().flat_map(|a| {
            [&mut a.ca_file, &mut a.api_key_file].into_iter().chain(a.kek.iter_mut().map(|kek| &mut kek.key_file))
        });
        let devices = device.iter_mut().map(|device| &mut device.app_s_key_file);
        let socket = Some(&mut service.socket).filter(|socket| **socket != Some(PathBuf::new()));
        let codec_paths = [&mut codecs.folder, &mut codecs.device_repository];
        let client = [&mut home.client_cert_file, &mut home.client_key_file];
        let own = [&mut home.ca_file, &mut home.password_file, &mut store.path];
        let page = [&mut web.password_file, &mut web.token_file, &mut web.tls_cert_file, &mut web.tls_key_file];
        let others = own.into_iter().chain(codec_paths).chain(client).chain(page);
        for path in applications.chain(devices).chain(others).chain(socket).flatten() {
            *path = folder.join(&*path);
        }
        let codecs =
            self.application.iter_mut().map(|a| &mut a.codec).chain(self.device.iter_mut().map(|d| &mut d.codec));
        for codec in codecs.flatten().filter(|codec| codec.starts_with('.')) {
            *codec = folder.join(&*codec).to_string_lossy().into_owned();
        }
    }
}

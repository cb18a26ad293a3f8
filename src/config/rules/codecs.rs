//! `[codecs]`: places that should be there. The bridge goes on without, as they may come.

use crate::config::error::Report;
use crate::config::{CodecsConfig, Environment};

pub fn check(codecs: &CodecsConfig, environment: &dyn Environment, report: &mut Report) {
    if let Some(folder) = codecs.folder.as_deref().filter(|folder| !environment.exists(folder)) {
        report.warn("codecs.folder", format!("{} is not there", folder.display()), "make it, or name another one");
    }
    let clone = codecs.device_repository.as_deref();
    if let Some(clone) = clone.filter(|clone| !environment.exists(&clone.join("vendor"))) {
        let hint = "git clone --depth 1 https://github.com/TheThingsNetwork/lorawan-devices, and name that folder";
        let message = format!("{} is no clone of the device repository: it has no `vendor`", clone.display());
        report.warn("codecs.device_repository", message, hint);
    }
}

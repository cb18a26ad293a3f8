//! A clone of the LoRaWAN device repository: `vendor/<brand>/<model>.yaml` leads to a codec, that to its scripts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use payload_codecs::Source;
use payload_codecs::repository::{CodecYaml, DeviceYaml, Function, RepositoryError};

use super::{Draft, FindError, Origin, is_plain, read, read_if_there};
use crate::model::VersionIds;

/// The codec of a product, if the clone knows it and says which it is.
pub fn product(clone: &Path, version: &VersionIds) -> Result<Option<Draft>, FindError> {
    let Some(vendor) = vendor_folder(clone, version) else { return Ok(None) };
    let path = vendor.join(format!("{}.yaml", version.model_id));
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    let device = DeviceYaml::parse(&text).map_err(told_of(&path))?;
    let Some(codec) = device.codec(&version.firmware_version, &version.band_id) else { return Ok(None) };

    let path = vendor.join(format!("{codec}.yaml"));
    let functions = CodecYaml::parse(&read(&path)?).map_err(told_of(&path))?;
    let name = format!("device-repository/{}/{codec}", version.brand_id);
    Ok(scripts(clone, &vendor, &name, functions)?.map(|source| Draft::bare(&name, Origin::Repository, source)))
}

/// Where a brand's files lie; `None` for one whose name is no name of a folder.
pub fn vendor_folder(clone: &Path, VersionIds { brand_id, model_id, .. }: &VersionIds) -> Option<PathBuf> {
    let is_id = |id: &str| is_plain(id) && !id.contains('/');
    (is_id(brand_id) && is_id(model_id)).then(|| clone.join("vendor").join(brand_id))
}

/// One script for all, as nearly everywhere, or one for each direction.
fn scripts(clone: &Path, vendor: &Path, name: &str, codec: CodecYaml) -> Result<Option<Source>, FindError> {
    let file = |function: &Option<Function>| function.as_ref().map(|function| function.file_name.clone());
    let (up, down) = (file(&codec.uplink_decoder), file(&codec.downlink_encoder).or(file(&codec.downlink_decoder)));
    let script = |file: &String| {
        let path = vendor.join(file);
        stays_inside(clone, &path)?;
        Ok(Source::JavaScript { name: name.into(), script: read(&path)?.into() })
    };
    Ok(match (up, down) {
        (Some(up), down) if down.as_ref().is_none_or(|down| *down == up) => Some(script(&up)?),
        (None, None) => None,
        (up, down) => {
            let read = |file: Option<String>| file.as_ref().map(script).transpose().map(|source| source.map(Arc::new));
            Some(Source::ByDirection { uplink: read(up)?, downlink: read(down)? })
        }
    })
}

/// A clone holds whatever its authors committed, links to anywhere included.
fn stays_inside(clone: &Path, path: &Path) -> Result<(), FindError> {
    let real = |path: &Path| path.canonicalize().map_err(|source| FindError::Unreadable { path: path.into(), source });
    match real(path)?.starts_with(real(clone)?) {
        true => Ok(()),
        false => Err(FindError::Outside { path: path.into() }),
    }
}

fn told_of(path: &Path) -> impl FnOnce(RepositoryError) -> FindError {
    let path = path.to_owned();
    move |source| FindError::Repository { path, source }
}

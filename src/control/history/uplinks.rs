//! `uplinks`: the last uplinks of a device, as they were published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::History;
use crate::control::{Problem, Told};
use crate::model::UplinkBody;

/// Uplinks in one answer, unless the request says otherwise, and at most.
const USUAL: usize = 20;
const MOST: usize = 200;

/// Which uplinks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WantedUplinks {
    /// By its name at home or its id at the network.
    pub device: String,
    pub application: Option<String>,
    /// So many at most: 20 unless given, 200 at most.
    pub limit: Option<usize>,
    /// Those before the ones that an earlier answer gave: its `next`.
    pub before: Option<i64>,
}

/// Uplinks of a device, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Uplinks<'a> {
    /// As on `<device>/uplink`, under the name that the device has now.
    uplinks: Vec<UplinkBody<'a>>,
    /// What `before` is to be for those before these; none if these were the oldest.
    next: Option<i64>,
}

impl History {
    /// # Errors
    /// The device is not known, or the store cannot be read.
    pub async fn uplinks(&self, wanted: WantedUplinks) -> Result<Told<Uplinks<'static>>, Problem> {
        let WantedUplinks { device, application, limit, before } = wanted;
        let (key, name) = self.find(&device, application.as_deref())?;
        let most = limit.unwrap_or(USUAL).clamp(1, MOST);
        let page = self.newest(&key, before.unwrap_or(i64::MAX), most).await?;
        let uplinks = page.uplinks.iter().map(|(_, uplink)| uplink.body(&name)).collect();
        Ok(Told::new(&Uplinks { uplinks, next: page.next }))
    }
}

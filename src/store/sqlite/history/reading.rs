//! Reading the history back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::packed::{self, Own};
use super::texts::body;
use super::{LAST_TIME, find, row_number};
use crate::model::{DeviceKey, Gateway, UplinkRecord};
use crate::store::engine::MOST_BYTES;
use crate::store::rows::{GatewayPage, GatewayPlace, GatewayRow, UplinkFilter, UplinkPage};

/// Rows looked at in one go to learn which gateways hear devices: a commit waits no longer than they take to be read.
const MOST_HEARD: usize = 500;
/// Rows of one device that are looked at for that.
const MOST_OF_ONE: usize = 10_000;
/// What a row takes in memory beside its texts, about.
const ROW_BYTES: u64 = 200;

/// A gateway's number, dBm, dB.
pub type Heard = (i64, f32, f32);

/// Adds how a gateway heard an uplink to those of a row. Its number in groups of seven bits, the lowest first, then both
/// figures, little-endian.
pub fn push_heard(row: &mut Vec<u8>, (number, rssi, snr): Heard) {
    let mut rest = number.unsigned_abs();
    while rest >= 0x80 {
        row.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    row.push(rest as u8);
    row.extend(rssi.to_le_bytes());
    row.extend(snr.to_le_bytes());
}

/// Uplinks of a device: as many as wanted, and no more once they have about [`MOST_BYTES`]. A row that refers to a text
/// that went is left out.
pub fn uplinks(connection: &Connection, wanted: &UplinkFilter) -> rusqlite::Result<UplinkPage> {
    let mut page = UplinkPage::default();
    let Some(device) = find(connection, &wanted.device)? else { return Ok(page) };
    let order = if wanted.newest_first { "DESC" } else { "ASC" };
    let mut select = connection.prepare_cached(&format!(
        "SELECT n, nanoseconds, owner, form, f_cnt, gateways, payload, told FROM uplinks
         WHERE n >= ? AND n < ? ORDER BY n {order} LIMIT ?"
    ))?;
    let (first, end) = (row_number(device, wanted.from), row_number(device, wanted.before));
    let mut rows = select.query(params![first, end, wanted.most as i64])?;
    let (mut looked, mut bytes, mut known) = (0, 0, Known::default());
    while let Some(row) = rows.next()? {
        let place = row.get::<_, i64>(0)? & LAST_TIME;
        let texts = row.get_ref(6)?.as_bytes()?.len() + row.get_ref(7)?.as_bytes()?.len();
        (looked, bytes) = (looked + 1, bytes + texts as u64 + ROW_BYTES);
        if let Some(record) = record(row, place, (connection, &mut known), &wanted.device)? {
            page.uplinks.push((place, record));
        }
        if looked == wanted.most || bytes >= MOST_BYTES {
            page.next = Some(if wanted.newest_first { place } else { place + 1 });
            break;
        }
    }
    Ok(page)
}

/// The gateways that heard devices since then, from this place on: some of their uplinks are looked at, the newest first.
pub fn gateways(
    connection: &Connection,
    devices: &[DeviceKey],
    since: Timestamp,
    place: GatewayPlace,
) -> rusqlite::Result<GatewayPage> {
    let (mut page, mut place, mut room, mut known) = (GatewayPage::default(), place, MOST_HEARD, Known::default());
    while let Some(key) = devices.get(place.device) {
        if room == 0 {
            page.next = Some(place);
            break;
        }
        let (looked, before) = match find(connection, key)? {
            Some(number) => {
                let heard = heard_by(connection, number, (since, place.before), room.min(MOST_OF_ONE - place.looked))?;
                page.gateways.extend(heard.rows(connection, &mut known)?.into_iter().map(|row| (place.device, row)));
                (heard.looked, heard.next)
            }
            None => (0, None),
        };
        // To look for one that was not heard costs about as much as to look at an uplink.
        room = room.saturating_sub(looked.max(1));
        let looked = place.looked + looked;
        place = match before.filter(|_| looked < MOST_OF_ONE) {
            Some(before) => GatewayPlace { before, looked, ..place },
            None => GatewayPlace::of(place.device + 1),
        };
    }
    Ok(page)
}

/// How some uplinks of a device were heard.
struct HeardBy {
    looked: usize,
    /// Where those that were not looked at end; none: there are no more.
    next: Option<i64>,
    /// By the gateway's number: the best of each figure, how many uplinks, the newest of them.
    best: HashMap<i64, (f32, f32, u64, i64)>,
}

impl HeardBy {
    fn rows(&self, connection: &Connection, known: &mut Known) -> rusqlite::Result<Vec<GatewayRow>> {
        let mut rows = Vec::new();
        for (number, (rssi, snr, uplinks, at)) in &self.best {
            let gateway = known.text(connection, *number)?.and_then(|text| packed::gateway(text, *rssi, *snr).ok());
            let last_heard = Timestamp::from_millisecond(*at).unwrap_or_default();
            rows.extend(gateway.map(|gateway| GatewayRow { gateway, uplinks: *uplinks, last_heard }));
        }
        Ok(rows)
    }
}

fn heard_by(
    connection: &Connection,
    device: i64,
    (since, before): (Timestamp, i64),
    most: usize,
) -> rusqlite::Result<HeardBy> {
    let mut select =
        connection.prepare_cached("SELECT n, gateways FROM uplinks WHERE n >= ? AND n < ? ORDER BY n DESC LIMIT ?")?;
    let range = (row_number(device, since.as_millisecond()), row_number(device, before));
    let mut rows = select.query(params![range.0, range.1, most as i64])?;
    let mut all = HeardBy { looked: 0, next: None, best: HashMap::new() };
    while let Some(row) = rows.next()? {
        let at = row.get::<_, i64>(0)? & LAST_TIME;
        all.looked += 1;
        all.next = (all.looked == most).then_some(at);
        for (number, rssi, snr) in heard(row.get_ref(1)?.as_blob()?) {
            let best = all.best.entry(number).or_insert((rssi, snr, 0, at));
            (best.0, best.1, best.2) = (best.0.max(rssi), best.1.max(snr), best.2 + 1);
        }
    }
    Ok(all)
}

/// Texts read already.
#[derive(Default)]
struct Known(HashMap<i64, Option<String>>);

impl Known {
    fn text(&mut self, connection: &Connection, number: i64) -> rusqlite::Result<Option<&str>> {
        Ok(match self.0.entry(number) {
            Entry::Occupied(known) => known.into_mut().as_deref(),
            Entry::Vacant(vacant) => vacant.insert(body(connection, number)?).as_deref(),
        })
    }

    fn gateways(&mut self, connection: &Connection, row: &[u8]) -> rusqlite::Result<Vec<Gateway>> {
        let mut gateways = Vec::new();
        for (number, rssi, snr) in heard(row) {
            let text = self.text(connection, number)?;
            gateways.extend(text.and_then(|text| packed::gateway(text, rssi, snr).ok()));
        }
        Ok(gateways)
    }
}

fn record(
    row: &Row<'_>,
    place: i64,
    (connection, known): (&Connection, &mut Known),
    key: &DeviceKey,
) -> rusqlite::Result<Option<UplinkRecord>> {
    let at = Timestamp::from_nanosecond(i128::from(place) * 1_000_000 + i128::from(row.get::<_, i64>(1)?));
    let own = Own {
        at: at.unwrap_or_default(),
        f_cnt: row.get(4)?,
        payload: Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
        gateways: known.gateways(connection, row.get_ref(5)?.as_blob()?)?,
    };
    let (owner, form) = (row.get(2)?, row.get(3)?);
    known.text(connection, owner)?;
    known.text(connection, form)?;
    let text = |number| known.0.get(&number).and_then(Option::as_deref);
    let told = row.get_ref(7)?.as_str()?;
    Ok(text(owner).zip(text(form)).and_then(|(owner, form)| packed::unpack(key, own, owner, form, told).ok()))
}

/// What [`push_heard`] wrote.
fn heard(mut row: &[u8]) -> Vec<Heard> {
    let mut all = Vec::new();
    while let Some((number, rest)) = number(row)
        && let Some((rssi, rest)) = rest.split_first_chunk()
        && let Some((snr, rest)) = rest.split_first_chunk()
    {
        all.push((number, f32::from_le_bytes(*rssi), f32::from_le_bytes(*snr)));
        row = rest;
    }
    all
}

fn number(row: &[u8]) -> Option<(i64, &[u8])> {
    let length = row.iter().take(9).position(|byte| byte & 0x80 == 0)? + 1;
    let (bytes, rest) = row.split_at(length);
    Some((bytes.iter().rev().fold(0, |number, byte| number << 7 | i64::from(byte & 0x7f)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_gateways_heard_an_uplink_comes_back() {
        let all: Vec<Heard> = vec![(1, -40.0, 9.25), (127, -1.5, 0.0), (128, 0.0, -7.75), (i64::MAX >> 8, 1.0, 2.0)];
        let mut row = Vec::new();
        all.iter().for_each(|one| push_heard(&mut row, *one));
        assert_eq!(heard(&row), all);
        assert_eq!(heard(&row[..row.len() - 1]).len(), all.len() - 1);
    }
}

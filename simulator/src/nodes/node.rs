//! The radio part of a node: joins, counts frames, checks what comes back, acknowledges.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::activation::{Activation, Identity, JoinError};
use super::heard::{Ear, HeardDownlink, HeardDownlinks};
use super::{Behaviour, Report};
use crate::stack::{Class, DataFrame, Device, FrameError, FrameHeader, RadioFrame, StackHandle};

/// An end node of LoRaWAN 1.0.x, class A or C.
pub struct Node {
    identity: Identity,
    class: Class,
    behaviour: Box<dyn Behaviour>,
    /// Number of the next join request; starts anywhere and counts up.
    dev_nonce: u16,
    session: Option<NodeSession>,
    /// 7 to 12
    spreading_factor: u8,
    ignore_acks: bool,
    /// The network's last frame wants an acknowledgement.
    owes_ack: bool,
    joins: u32,
    ear: Ear,
}

struct NodeSession {
    activation: Activation,
    next_f_cnt_up: u32,
    last_f_cnt_down: Option<u32>,
}

/// A downlink frame as the node understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reception {
    /// Frame counter, unique within a session.
    pub f_cnt: u32,
    /// `None` for a frame that only acknowledges.
    pub f_port: Option<u8>,
    pub payload: Vec<u8>,
    /// The network wants this frame acknowledged.
    pub confirmed: bool,
    /// The network acknowledges the node's own confirmed report.
    pub ack: bool,
    /// More downlinks wait.
    pub pending: bool,
}

/// Why a report did not work out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("the node has not joined")]
    NotJoined,
    #[error("the report cannot be sent, or what came back was not for this node: {0}")]
    Frame(#[from] FrameError),
}

impl Node {
    /// A node with the identifiers and root key of a registered device.
    pub fn new(device: &Device, behaviour: impl Behaviour + 'static) -> Self {
        let identity = Identity { dev_eui: device.dev_eui, join_eui: device.join_eui, app_key: device.app_key };
        Self {
            identity,
            class: device.class,
            behaviour: Box::new(behaviour),
            dev_nonce: fastrand::u16(..),
            session: None,
            spreading_factor: 7,
            ignore_acks: false,
            owes_ack: false,
            joins: 0,
            ear: Ear::default(),
        }
    }

    /// Which application downlinks the node received and will receive.
    pub fn heard(&self) -> HeardDownlinks {
        self.ear.handle()
    }

    /// Never acknowledge confirmed downlinks, as a node with a deaf application does.
    pub fn ignore_acks(&mut self, ignore: bool) {
        self.ignore_acks = ignore;
    }

    /// Sends at this spreading factor, 7 to 12, from now on.
    pub fn set_spreading_factor(&mut self, spreading_factor: u8) {
        self.spreading_factor = spreading_factor;
    }

    /// Joins, or joins again: the session and its counters start anew.
    pub async fn join(&mut self, stack: &StackHandle) -> Result<(), JoinError> {
        let dev_nonce = self.dev_nonce;
        self.dev_nonce = self.dev_nonce.wrapping_add(1);
        let request = RadioFrame::new(self.identity.join_request(dev_nonce));
        let accept = stack.transmit(request).await.ok_or(JoinError::NoAnswer)?;
        let activation = self.identity.read_join_accept(dev_nonce, accept)?;
        self.session = Some(NodeSession { activation, next_f_cnt_up: 0, last_f_cnt_down: None });
        self.owes_ack = false;
        self.joins += 1;
        Ok(())
    }

    /// Sends the behaviour's next report, listens in the receive window and hands a downlink to the behaviour.
    pub async fn report(&mut self, stack: &StackHandle) -> Result<Option<Reception>, NodeError> {
        let report = self.behaviour.uplink();
        self.send(stack, report).await
    }

    /// Sends a report of the caller's making instead of the behaviour's.
    pub async fn send(&mut self, stack: &StackHandle, report: Report) -> Result<Option<Reception>, NodeError> {
        let frame = self.frame(report)?;
        match stack.transmit(frame).await {
            Some(answer) => self.hear(&answer).map(Some),
            None => Ok(None),
        }
    }

    /// Takes a downlink frame: checks address, MIC and counter, and hands its payload to the behaviour. Class C frames from
    /// [`StackHandle::listen`] go here.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<Reception, NodeError> {
        let session = self.session.as_mut().ok_or(NodeError::NotJoined)?;
        let frame = DataFrame::open(bytes, &session.activation.keys, session.last_f_cnt_down)?;
        if frame.header.uplink || frame.header.dev_addr != session.activation.dev_addr {
            return Err(FrameError::NotData.into());
        }
        session.last_f_cnt_down = Some(frame.header.f_cnt);
        self.owes_ack = frame.header.confirmed;
        if let Some(f_port) = frame.f_port.filter(|port| *port != 0) {
            let (f_cnt, confirmed, payload) = (frame.header.f_cnt, frame.header.confirmed, frame.payload.clone());
            self.ear.hear(HeardDownlink { session: self.joins, f_cnt, f_port, payload, confirmed });
            self.behaviour.downlink(f_port, &frame.payload);
        }
        Ok(Reception {
            f_cnt: frame.header.f_cnt,
            f_port: frame.f_port,
            payload: frame.payload,
            confirmed: frame.header.confirmed,
            ack: frame.header.ack,
            pending: frame.header.pending,
        })
    }

    /// Joins and reports about every `interval` until `stop`. A join that fails is tried again after the interval.
    pub async fn run(mut self, stack: StackHandle, interval: Duration, stop: CancellationToken) {
        stop.run_until_cancelled(self.live(&stack, interval)).await;
    }

    async fn live(&mut self, stack: &StackHandle, interval: Duration) {
        let mut air = match self.class {
            Class::A => None,
            Class::C => stack.listen(self.identity.dev_eui),
        };
        while let Err(error) = self.join(stack).await {
            tracing::debug!(%error, "A node could not join.");
            tokio::time::sleep(jittered(interval)).await;
        }
        loop {
            if let Err(error) = self.report(stack).await {
                tracing::debug!(%error, "A node's report failed.");
            }
            self.rest(jittered(interval), &mut air).await;
        }
    }

    /// Sleeps in class A, listens in class C.
    async fn rest(&mut self, time: Duration, air: &mut Option<mpsc::Receiver<Vec<u8>>>) {
        let awake = tokio::time::sleep(time);
        tokio::pin!(awake);
        loop {
            tokio::select! {
                () = &mut awake => return,
                Some(frame) = next_frame(air) => {
                    if let Err(error) = self.hear(&frame) {
                        tracing::debug!(%error, "A node ignored a frame.");
                    }
                }
            }
        }
    }

    fn frame(&mut self, report: Report) -> Result<RadioFrame, NodeError> {
        let session = self.session.as_mut().ok_or(NodeError::NotJoined)?;
        let header = FrameHeader {
            uplink: true,
            confirmed: report.confirmed,
            dev_addr: session.activation.dev_addr,
            ack: self.owes_ack && !self.ignore_acks,
            pending: false,
            f_cnt: session.next_f_cnt_up,
        };
        let frame = DataFrame { header, f_port: Some(report.f_port), payload: report.payload };
        let phy_payload = frame.seal(&session.activation.keys)?;
        session.next_f_cnt_up += 1;
        self.owes_ack = false;
        Ok(RadioFrame { spreading_factor: self.spreading_factor, ..heard(phy_payload) })
    }
}

/// The next frame outside a receive window; never in class A.
async fn next_frame(air: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match air {
        Some(frames) => frames.recv().await,
        None => std::future::pending().await,
    }
}

/// As a gateway some rooms away hears it, on one of the three channels every EU868 network has.
fn heard(phy_payload: Vec<u8>) -> RadioFrame {
    RadioFrame {
        rssi: fastrand::i32(-105..-55),
        snr: fastrand::i32(-20..40) as f32 / 4.0,
        frequency: 868_100_000 + 200_000 * fastrand::u32(0..3),
        ..RadioFrame::new(phy_payload)
    }
}

/// Nodes that start together must not go on sending together: a tenth more or less.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fastrand::f64())
}

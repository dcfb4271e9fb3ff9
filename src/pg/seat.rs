//! Whether a query computes: only while its rows are asked for, and only in a place among those that compute.
//!
//! One whose rows nobody asks for – a cursor between two FETCH – has no place, and no clock that would end it: it is not
//! asked for more. What its plan has begun by itself since its rows were first asked for goes on until that has no room.

use std::sync::Arc;

use arrow::array::RecordBatch;
use tokio::sync::{mpsc, watch};

use crate::database::{Answer, Error, Place, Turns};

/// Rows that are handed on at a time.
const SLICE: usize = 1024;

/// What comes of a query after its columns.
#[derive(Debug)]
pub(super) enum Piece {
    Rows(RecordBatch),
    Failed(Error),
    /// Its end, and what is to be said beside the rows.
    End(Vec<String>),
}

/// Says of a query whether its rows are asked for; at first they are not.
#[derive(Debug)]
pub(super) struct Seat(watch::Sender<bool>);

impl Seat {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(false)))
    }

    /// Its rows are asked for.
    pub(super) fn ask(&self) {
        self.0.send_if_modified(|asked| !std::mem::replace(asked, true));
    }

    /// Leaves its place to others until its rows are asked for again.
    pub(super) fn pause(&self) {
        self.0.send_if_modified(|asked| std::mem::replace(asked, false));
    }

    /// Who computes, in the place that it has.
    pub(super) fn worker(&self, turns: Turns, place: Place) -> Worker {
        Worker { asked: self.0.subscribe(), turns, place: Some(place) }
    }
}

/// Nobody takes rows any more.
struct Gone;

/// Whoever computes. It ends where the seat is gone.
#[derive(Debug)]
pub(super) struct Worker {
    asked: watch::Receiver<bool>,
    turns: Turns,
    place: Option<Place>,
}

impl Worker {
    /// Hands on the rows of an answer as they are taken.
    pub(super) async fn work(mut self, mut answer: Answer, pieces: &mpsc::Sender<Piece>) {
        while let Ok(batch) = self.next(&mut answer).await {
            let (slices, is_last) = match batch {
                Some(Ok(batch)) => {
                    let slice = |from| Piece::Rows(batch.slice(from, SLICE.min(batch.num_rows() - from)));
                    ((0..batch.num_rows()).step_by(SLICE).map(slice).collect(), false)
                }
                Some(Err(error)) => (vec![Piece::Failed(error)], true),
                None => (vec![Piece::End(answer.notices())], true),
            };
            for piece in slices {
                if self.send(pieces, piece).await.is_err() {
                    return;
                }
            }
            if is_last {
                return;
            }
        }
    }

    /// The next rows, computed while they are asked for.
    async fn next(&mut self, answer: &mut Answer) -> Result<Option<Result<RecordBatch, Error>>, Gone> {
        loop {
            self.turn().await?;
            tokio::select! {
                biased;
                batch = answer.next() => return Ok(batch),
                there = paused(&mut self.asked) => there?,
            }
        }
    }

    /// Waits until rows are asked for and there is a place.
    async fn turn(&mut self) -> Result<(), Gone> {
        if !*self.asked.borrow_and_update() {
            self.place = None;
            self.asked.wait_for(|asked| *asked).await.map_err(|_| Gone)?;
        }
        if self.place.is_none() {
            self.place = Some(self.turns.turn().await);
        }
        Ok(())
    }

    async fn send(&mut self, pieces: &mpsc::Sender<Piece>, piece: Piece) -> Result<(), Gone> {
        let room = tokio::select! {
            biased;
            room = pieces.reserve() => room,
            there = paused(&mut self.asked) => {
                there?;
                self.place = None;
                pieces.reserve().await
            }
        };
        room.map_err(|_| Gone)?.send(piece);
        Ok(())
    }
}

/// Returns when rows are not asked for any more.
async fn paused(asked: &mut watch::Receiver<bool>) -> Result<(), Gone> {
    asked.wait_for(|asked| !*asked).await.map(drop).map_err(|_| Gone)
}

//! Sessions with the mail server: several at once, each with a connection of
//! its own, that hand over what is put on one belt.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use super::pace::Pace;
use crate::clock::Stopwatch;
use crate::jobs::{Shop, Watch};
use crate::mail::{Delivery, Envelope, Transport};
use crate::store::Message;

/// The most messages at hand: so many may be uncertain after a power cut.
const MOST_AT_HAND: usize = 1_000;

/// Answers that are kept together, if they come in time.
const ANSWERS_A_PAGE: usize = 100;

/// An answer is kept after this time at the latest.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Answers that come this soon after one another are received together: each
/// would wake the run.
const A_MOMENT: Duration = Duration::from_millis(1);

/// How long messages are this node's, unless it renews them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    /// From when on.
    pub since: Stopwatch,
    /// Zero: nobody else can take them.
    pub holds: Duration,
}

impl Lease {
    fn is_held(self) -> bool {
        self.holds.is_zero() || self.since.elapsed() < self.holds
    }

    /// The time until it is to be renewed.
    fn until_renewal(self) -> Duration {
        match self.holds.is_zero() {
            true => Duration::MAX,
            false => (self.holds / 3).saturating_sub(self.since.elapsed()),
        }
    }
}

/// A message with all that it takes to hand it over.
pub(super) struct Outgoing {
    pub message: Message,
    pub envelope: Envelope,
    /// What its file is called where messages become files.
    pub name: String,
}

/// What came of a message; `None`: it was not handed over.
pub(super) type Answered = (Message, Option<Delivery>);

/// See the module.
pub(super) struct Belt {
    queue: mpsc::UnboundedSender<Outgoing>,
    answers: mpsc::UnboundedReceiver<Answered>,
    /// Without one nothing more is handed over.
    lease: watch::Sender<Option<Lease>>,
    /// Says that nobody is to wait any more.
    watch: Watch,
    sessions: JoinSet<()>,
    /// Each message that was not answered, with its fence.
    at_hand: HashMap<i64, i64>,
    /// How many messages to have at hand: what is sent in about twice the
    /// longest wait.
    room: usize,
    least: usize,
}

impl Belt {
    /// So many sessions, which connect when they have something to send.
    pub fn start(transport: &Transport, sessions: usize, shop: &Shop) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::unbounded_channel();
        let (lease, held) = watch::channel(None);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut running = JoinSet::new();
        for _ in 0..sessions {
            let transport = transport.another();
            let waiting = Arc::clone(&waiting);
            let (answer, held) = (answer.clone(), held.clone());
            running.spawn(session(transport, waiting, answer, held, shop.pace.clone()));
        }
        Self {
            queue,
            answers,
            lease,
            watch: shop.watch.clone(),
            sessions: running,
            at_hand: HashMap::new(),
            room: Self::least(sessions),
            least: Self::least(sessions),
        }
    }

    /// How many messages to begin with: each session has its next one.
    pub fn least(sessions: usize) -> usize {
        2 * sessions
    }

    /// How many messages more there is room for.
    pub fn room(&self) -> usize {
        self.room.saturating_sub(self.at_hand.len())
    }

    /// Messages at hand, each with its fence.
    pub fn at_hand(&self) -> &HashMap<i64, i64> {
        &self.at_hand
    }

    /// Puts messages on the belt. The oldest lease at hand holds for all.
    pub fn put(&mut self, messages: Vec<Outgoing>, lease: Lease) {
        if self.at_hand.is_empty() {
            self.renewed(lease);
        }
        for outgoing in messages {
            let message = &outgoing.message;
            self.at_hand.insert(message.id, message.fence);
            // The sessions end after the belt.
            let _sent = self.queue.send(outgoing);
        }
    }

    /// The lease holds anew for all that is at hand.
    pub fn renewed(&mut self, lease: Lease) {
        self.lease.send_replace(Some(lease));
    }

    /// The lease, if it is time to renew it.
    pub fn to_renew(&self) -> Option<Lease> {
        let lease = *self.lease.borrow();
        lease.filter(|lease| !self.at_hand.is_empty() && lease.until_renewal().is_zero())
    }

    /// Lets nothing more be handed over.
    pub fn stop(&mut self) {
        self.lease.send_replace(None);
    }

    /// Waits for answers: for half of what is at hand, if that is worth a
    /// transaction, or as long as an answer may wait; none if the lease is to be
    /// renewed before one comes, or the run is told to end.
    pub async fn collect(&mut self) -> Vec<Answered> {
        let mut answered = Vec::new();
        let lease = *self.lease.borrow();
        let renewal = lease.map(Lease::until_renewal);
        let first = tokio::time::timeout(renewal.unwrap_or(Duration::MAX), self.answers.recv());
        let first = tokio::select! {
            biased;
            first = first => first,
            // What was handed over is waited for all the same.
            () = self.watch.ending(), if lease.is_some() => return answered,
        };
        let Ok(Some(first)) = first else {
            return answered;
        };
        let enough = (self.at_hand.len() / 2).max(ANSWERS_A_PAGE);
        let mut waited = pin!(tokio::time::sleep(LONGEST_WAIT));
        let mut is_slow = false;
        self.took(first, &mut answered);
        while answered.len() < enough && !self.at_hand.is_empty() && !is_slow {
            tokio::time::sleep(A_MOMENT).await;
            tokio::select! {
                biased;
                () = &mut waited => is_slow = true,
                Some(next) = self.answers.recv() => self.took(next, &mut answered),
            }
            while let Ok(next) = self.answers.try_recv() {
                self.took(next, &mut answered);
            }
        }
        let answers = answered.len();
        let room = match is_slow {
            true => 2 * answers,
            false if 2 * answers >= self.room => 2 * self.room,
            false => self.room,
        };
        self.room = room.clamp(self.least, MOST_AT_HAND);
        answered
    }

    fn took(&mut self, next: Answered, answered: &mut Vec<Answered>) {
        self.at_hand.remove(&next.0.id);
        answered.push(next);
    }

    /// Ends the sessions politely.
    pub async fn close(self) {
        let Self {
            queue, sessions, ..
        } = self;
        drop(queue);
        sessions.join_all().await;
    }
}

/// Hands messages over, one after the other, as long as there is a lease.
async fn session(
    mut transport: Transport,
    waiting: Arc<Mutex<mpsc::UnboundedReceiver<Outgoing>>>,
    answers: mpsc::UnboundedSender<Answered>,
    mut lease: watch::Receiver<Option<Lease>>,
    pace: Pace,
) {
    loop {
        let next = waiting.lock().await.recv().await;
        let Some(outgoing) = next else { break };
        let Outgoing {
            message,
            envelope,
            name,
        } = outgoing;
        // Nobody waits for their turn once nothing more is handed over.
        let turn = tokio::select! {
            biased;
            () = stopped(&mut lease) => None,
            turn = pace.turn() => Some(turn),
        };
        let is_held = lease.borrow().is_some_and(Lease::is_held);
        let delivery = match turn.filter(|_| is_held) {
            Some(turn) => {
                let raw = message.draft.raw.as_bytes();
                let delivery = transport.send(&envelope, raw, &name).await;
                turn.used();
                Some(delivery)
            }
            None => None,
        };
        if answers.send((message, delivery)).is_err() {
            break;
        }
    }
    transport.close().await;
}

/// Waits until there is no lease any more.
async fn stopped(lease: &mut watch::Receiver<Option<Lease>>) {
    // Without its other end there is none either.
    let _gone = lease.wait_for(Option::is_none).await;
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::store::{MessageDraft, MessageKind, MessageState};

    fn message(id: i64) -> Message {
        Message {
            id,
            draft: MessageDraft {
                message_id: String::new(),
                kind: MessageKind::Notices,
                audience: String::new(),
                recipient: String::new(),
                subject: String::new(),
                raw: String::new(),
            },
            state: MessageState::Sending,
            composed_at: crate::policy::Instant::default(),
            tries: 0,
            first_try_at: None,
            next_try_at: None,
            answer: None,
            refused: false,
            maybe_taken: false,
            sent_at: None,
            fence: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_in_time_however_fast_others_come() {
        let (answer, answers) = mpsc::unbounded_channel();
        let mut belt = Belt {
            queue: mpsc::unbounded_channel().0,
            answers,
            lease: watch::channel(None).0,
            watch: Watch::default(),
            sessions: JoinSet::new(),
            at_hand: (0..1_000).map(|id| (id, 1)).collect(),
            room: MOST_AT_HAND,
            least: 1,
        };
        let collecting = tokio::spawn(async move { belt.collect().await.len() });
        // There is one whenever it looks: this comes first in every tick.
        let mut waited = Duration::ZERO;
        while !collecting.is_finished() {
            let _gone = answer.send((message(0), None));
            sleep(A_MOMENT).await;
            waited += A_MOMENT;
        }
        assert!(collecting.await.unwrap() > 0);
        assert!(waited <= LONGEST_WAIT + 2 * A_MOMENT, "{waited:?}");
    }
}

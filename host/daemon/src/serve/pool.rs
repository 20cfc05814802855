//! A few threads for many pipelines: a task is queued when somebody rings for it, and costs nothing while nobody does.
//!
//! A task works for a slice of time and then goes to the end of the queue, so that none starves. A ring while it works
//! is not lost: it is queued again. One that waits for a time has an alarm, which is a ring.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a task works before the next one's turn.
const SLICE: Duration = Duration::from_millis(2);

/// What a task has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more to do at once.
    More,
    /// Nothing to do before a ring, or before so long has passed.
    Wait(Option<Duration>),
    /// Nothing to do any more.
    Over,
}

/// Work that is done in slices.
pub(crate) trait Work: Send {
    /// Works until there is nothing to do, or the time has come.
    fn turn(&mut self, until: Instant) -> Turn;

    /// It has panicked, which is a mistake of ours. Says what is wrong to whom it concerns; it is not called again.
    fn panicked(&mut self);
}

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const WORKING: u8 = 2;
const RUNG: u8 = 3;

/// Work in a pool.
pub(crate) struct Task {
    state: AtomicU8,
    work: Mutex<Option<Box<dyn Work>>>,
    /// The alarm that is set; only touched with the queue locked.
    alarm: Mutex<Option<Instant>>,
    queue: Arc<Queue>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

impl Task {
    /// Has it work, now or once more.
    pub(crate) fn ring(self: &Arc<Self>) {
        if self.rouse() {
            self.queue.push(self.clone());
        }
    }

    /// Notes a ring; whether the task has to be queued for it.
    fn rouse(&self) -> bool {
        let next = |state| match state {
            IDLE => Some(QUEUED),
            WORKING => Some(RUNG),
            _ => None,
        };
        self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) == Ok(IDLE)
    }
}

/// Tasks that have something to do, and those that will have.
#[derive(Default)]
struct Queue {
    tasks: Mutex<Tasks>,
    some: Condvar,
    closed: AtomicBool,
}

#[derive(Default)]
struct Tasks {
    ready: VecDeque<Arc<Task>>,
    /// By time, then by address.
    alarms: BTreeMap<(Instant, usize), Arc<Task>>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, task: Arc<Task>) {
        self.lock().ready.push_back(task);
        self.some.notify_one();
    }

    /// Whether no task waits for its turn, and none is to end.
    fn is_idle(&self) -> bool {
        let mut tasks = self.lock();
        tasks.wake(Instant::now());
        tasks.ready.is_empty() && !self.closed.load(Ordering::SeqCst)
    }

    /// The next task; none when the pool is closed.
    fn pop(&self) -> Option<Arc<Task>> {
        let mut tasks = self.lock();
        loop {
            if self.closed.load(Ordering::SeqCst) {
                return None;
            }
            let now = Instant::now();
            tasks.wake(now);
            if let Some(task) = tasks.ready.pop_front() {
                if !tasks.ready.is_empty() {
                    self.some.notify_one();
                }
                return Some(task);
            }
            let next = tasks.alarms.keys().next().map(|(at, _)| *at);
            tasks = match next {
                Some(at) => {
                    let waited = self.some.wait_timeout(tasks, at.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.some.wait(tasks).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Tasks {
    /// Queues those whose alarm has come.
    fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.alarms.first_entry().filter(|entry| entry.key().0 <= now) {
            let task = entry.remove();
            *task.alarm.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if task.rouse() {
                self.ready.push_back(task);
            }
        }
    }

    /// Sets the alarm of a task, or takes it away; whether it is the first of all now.
    fn set(&mut self, task: &Arc<Task>, at: Option<Instant>) -> bool {
        let address = Arc::as_ptr(task) as usize;
        let mut alarm = task.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *alarm, at) {
            self.alarms.remove(&(before, address));
        }
        let Some(at) = at else { return false };
        let first = self.alarms.keys().next().is_none_or(|(first, _)| at < *first);
        self.alarms.insert((at, address), task.clone());
        first
    }
}

/// The threads.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Threads that there are.
    pub(crate) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// A pool of so many threads.
    ///
    /// # Errors
    /// The system has no more threads.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let start = |number| {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || work(&queue))
        };
        let threads = (0..threads).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { queue, threads })
    }

    /// A task that waits for its first ring.
    pub(crate) fn task(&self, work: Box<dyn Work>) -> Arc<Task> {
        let (state, alarm, work) = (AtomicU8::new(IDLE), Mutex::new(None), Mutex::new(Some(work)));
        Arc::new(Task { state, work, alarm, queue: self.queue.clone() })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.closed.store(true, Ordering::SeqCst);
        drop(self.queue.lock());
        self.queue.some.notify_all();
        // A worker does not panic: steps of nodes are guarded, and what it does itself holds no promise to others.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
        let tasks = std::mem::take(&mut *self.queue.lock());
        drop(tasks);
    }
}

fn work(queue: &Queue) {
    while let Some(task) = queue.pop() {
        let mut turn = slice(&task);
        // As long as nobody else waits it goes on here, where its data is in the cache.
        while turn == Turn::More && queue.is_idle() {
            turn = slice(&task);
        }
        match turn {
            Turn::More => {
                task.state.store(QUEUED, Ordering::SeqCst);
                queue.push(task);
            }
            Turn::Wait(until) => {
                let at = until.map(|until| Instant::now() + until);
                if queue.lock().set(&task, at) {
                    queue.some.notify_one();
                }
                let idle = task.state.compare_exchange(WORKING, IDLE, Ordering::SeqCst, Ordering::SeqCst);
                if idle.is_err() {
                    task.state.store(QUEUED, Ordering::SeqCst);
                    queue.push(task);
                }
            }
            Turn::Over => drop(queue.lock().set(&task, None)),
        }
    }
}

/// Has a task work for a slice of time.
fn slice(task: &Task) -> Turn {
    task.state.store(WORKING, Ordering::SeqCst);
    let mut work = task.work.lock().unwrap_or_else(PoisonError::into_inner);
    let turn = work.as_mut().map_or(Turn::Over, |work| {
        catch_unwind(AssertUnwindSafe(|| work.turn(Instant::now() + SLICE))).unwrap_or_else(|_| {
            work.panicked();
            Turn::Over
        })
    });
    if turn == Turn::Over {
        *work = None;
    }
    turn
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Says that it works, and then what the test told it to.
    struct Said(Sender<u32>, u32, Vec<Turn>);

    impl Work for Said {
        fn turn(&mut self, _: Instant) -> Turn {
            self.0.send(self.1).unwrap();
            self.2.pop().unwrap_or(Turn::Over)
        }

        fn panicked(&mut self) {}
    }

    #[test]
    fn a_task_works_once_a_ring_and_again_at_its_alarm() {
        let pool = Pool::new(2).unwrap();
        let (said, heard) = channel();
        let soon = Turn::Wait(Some(Duration::from_millis(1)));
        let task = pool.task(Box::new(Said(said, 7, vec![Turn::Over, soon, Turn::Wait(None), Turn::More])));
        assert!(heard.try_recv().is_err(), "nobody has rung");
        task.ring();
        assert_eq!([heard.recv(), heard.recv()], [Ok(7), Ok(7)], "there was more to do");
        task.ring();
        assert_eq!([heard.recv(), heard.recv()], [Ok(7), Ok(7)], "a ring, and an alarm");
        assert!(heard.recv().is_err(), "it is over, and its work is gone");
    }

    #[test]
    fn a_panic_ends_its_task_and_no_other() {
        struct Broken(Sender<u32>);
        impl Work for Broken {
            fn turn(&mut self, _: Instant) -> Turn {
                panic!("a test of what happens then");
            }

            fn panicked(&mut self) {
                self.0.send(1).unwrap();
            }
        }
        let pool = Pool::new(1).unwrap();
        let (said, heard) = channel();
        pool.task(Box::new(Broken(said.clone()))).ring();
        assert_eq!(heard.recv(), Ok(1));
        pool.task(Box::new(Said(said, 2, Vec::new()))).ring();
        assert_eq!((heard.recv(), heard.recv().is_err()), (Ok(2), true));
    }

    #[test]
    fn every_ring_is_followed_by_work_however_many_ring_at_once() {
        struct Count(Arc<AtomicBool>, Sender<()>);
        impl Work for Count {
            fn turn(&mut self, _: Instant) -> Turn {
                if self.0.swap(false, Ordering::SeqCst) {
                    self.1.send(()).unwrap();
                }
                Turn::Wait(None)
            }

            fn panicked(&mut self) {}
        }
        let pool = Pool::new(3).unwrap();
        let (said, heard) = channel();
        let asked = Arc::new(AtomicBool::new(false));
        let task = pool.task(Box::new(Count(asked.clone(), said)));
        for _ in 0..2_000 {
            asked.store(true, Ordering::SeqCst);
            std::thread::scope(|scope| {
                scope.spawn(|| task.ring());
                scope.spawn(|| task.ring());
            });
            heard.recv_timeout(Duration::from_secs(60)).expect("what was asked before a ring is seen");
        }
    }
}

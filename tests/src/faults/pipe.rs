//! A way for bytes between two programs that can be cut at a byte, stopped and let go on: what a network does, and what a
//! peer does that vanishes without a word.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use anyhow::Result;

/// Bytes that are passed on at once.
const CHUNK: usize = 64 * 1024;

/// What becomes of a connection at what it says to the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// It goes on.
    Not,
    /// The target never sees it.
    Before,
    /// The target sees it, and its answer is lost.
    After,
    /// The connection stands still before it, and nobody is told.
    Hold,
}

type Rule = Box<dyn FnMut(&[u8]) -> Cut + Send>;

/// A running pipe, which ends with its owner.
pub struct Pipe {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    rule: Mutex<Rule>,
    gates: Mutex<Vec<Arc<Gate>>>,
    /// New connections are stopped from the start.
    stopped: AtomicBool,
    cuts: AtomicU64,
    ended: AtomicBool,
}

/// One connection's.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    ends: Mutex<Vec<TcpStream>>,
    /// The next answer is lost, and the connection with it.
    last: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    Stopped,
    Ended,
}

impl Pipe {
    /// A pipe to `target`.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(target: SocketAddr) -> Result<Self> {
        Self::on(Ipv4Addr::LOCALHOST.into(), target)
    }

    /// The same, on another address of this machine.
    ///
    /// # Errors
    /// When it is none, or there is no free port.
    pub fn on(address: IpAddr, target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            rule: Mutex::new(Box::new(|_| Cut::Not)),
            gates: Mutex::default(),
            stopped: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(Ordering::Acquire) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks this rule from now on, at all that goes to the target.
    pub fn at(&self, rule: impl FnMut(&[u8]) -> Cut + Send + 'static) {
        *lock(&self.shared.rule) = Box::new(rule);
    }

    /// How many connections the rule has cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Acquire)
    }

    /// Passes nothing on any more, and ends nothing: who is behind it is gone without a word.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.each(|gate| gate.becomes(State::Stopped));
    }

    /// New connections are served; those that were stopped stay so.
    pub fn forget(&self) {
        self.shared.stopped.store(false, Ordering::Release);
    }

    /// Everything goes on where it was stopped.
    pub fn go_on(&self) {
        self.forget();
        self.shared.each(|gate| gate.becomes(State::Open));
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.shared.each(Gate::end);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.cut();
        // Wakes the accepting thread, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn each(&self, what: impl Fn(&Gate)) {
        lock(&self.gates).iter().for_each(|gate| what(gate));
    }

    fn serve(self: Arc<Self>, near: TcpStream) {
        let gate = Arc::new(Gate::default());
        {
            let mut gates = lock(&self.gates);
            gates.push(Arc::clone(&gate));
            if self.stopped.load(Ordering::Acquire) {
                gate.becomes(State::Stopped);
            }
        }
        if gate.passes() {
            self.pass_both(&gate, near);
        }
        gate.end();
        lock(&self.gates).retain(|other| !Arc::ptr_eq(other, &gate));
    }

    fn pass_both(&self, gate: &Arc<Gate>, mut near: TcpStream) {
        let Ok(mut far) = TcpStream::connect(self.target) else { return };
        for stream in [&near, &far] {
            drop(stream.set_nodelay(true));
            if let Ok(stream) = stream.try_clone() {
                lock(&gate.ends).push(stream);
            }
        }
        let (Ok(mut from), Ok(mut to)) = (far.try_clone(), near.try_clone()) else { return };
        let back = Arc::clone(gate);
        let answering = thread::spawn(move || {
            pass(&back, &mut from, &mut to, |_| {
                if back.last.load(Ordering::Acquire) { Cut::Before } else { Cut::Not }
            });
            back.end();
        });
        pass(gate, &mut near, &mut far, |bytes| {
            let cut = lock(&self.rule)(bytes);
            if cut != Cut::Not {
                self.cuts.fetch_add(1, Ordering::AcqRel);
            }
            if cut == Cut::After {
                gate.last.store(true, Ordering::Release);
            }
            cut
        });
        // Who waits for the answer that is to be lost ends the connection with it.
        if !gate.last.load(Ordering::Acquire) {
            gate.end();
        }
        drop(answering.join());
    }
}

/// Passes bytes on one way until an end, or a cut.
fn pass(gate: &Gate, from: &mut TcpStream, to: &mut TcpStream, mut rule: impl FnMut(&[u8]) -> Cut) {
    let mut chunk = vec![0; CHUNK];
    while gate.passes() {
        let Ok(count @ 1..) = from.read(&mut chunk) else { return };
        let bytes = chunk.get(..count).unwrap_or_default();
        if !gate.passes() {
            return;
        }
        let cut = rule(bytes);
        if cut == Cut::Hold {
            gate.becomes(State::Stopped);
            if !gate.passes() {
                return;
            }
        }
        if cut == Cut::Before || to.write_all(bytes).is_err() || cut == Cut::After {
            return;
        }
    }
}

impl Gate {
    /// Waits while it is stopped; false when it has ended.
    fn passes(&self) -> bool {
        let mut state = lock(&self.state);
        while *state == State::Stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state == State::Open
    }

    fn becomes(&self, state: State) {
        let mut own = lock(&self.state);
        if *own != State::Ended {
            *own = state;
            self.changed.notify_all();
        }
    }

    fn end(&self) {
        self.becomes(State::Ended);
        for stream in lock(&self.ends).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

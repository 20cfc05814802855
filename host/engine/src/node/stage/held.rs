//! How much state a lane holds, told to whoever counts: after each message, and after each look for keys past their
//! time.

use super::StageNode;

impl StageNode {
    /// Tells how much state there is now.
    pub(super) fn tell_held(&mut self) {
        let Some(state) = &self.parts.state else { return };
        let now = [state.len() as u64, state.bytes()];
        let before = std::mem::replace(&mut self.held, now);
        self.parts.counters.state_keys.shift(before[0], now[0]);
        self.parts.counters.state_bytes.shift(before[1], now[1]);
    }
}

//! What records look like, learned from those before: the exact bytes between their values.
//!
//! Records of one producer agree in keys, their order and white space; only the values differ. A record is therefore
//! taken as *literal, value, literal, value, .., last literal*, and what was seen is kept as a tree of such steps: from
//! each step lead those that have followed it. Records that differ in one optional field, or come in two orders, share
//! what they have in common, and comparing a literal is a matter of a few words. A record that leads out of the tree is
//! read key by key by [`super::reader`], which answers for what is right and wrong, and is learned if it was good.
//!
//! Always true: a way from the root to a [`Action::End`] spells records that have no declared key twice and lack no
//! required field.

use super::scan::word;

/// What a step does after its literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Takes the value of a declared field.
    Field(u32),
    /// Checks a value that is not declared.
    Skip,
    /// Ends the record; the number is of a list of fields that it lacks.
    End(u32),
}

/// A literal, and what comes after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The literal's first two words, and which of their bits are part of it.
    head: [u64; 2],
    head_mask: [u64; 2],
    /// The words behind these: where they begin, how many they are, and what of the last is part of the literal.
    rest: u32,
    rest_words: u16,
    tail_mask: u64,
    /// Length of the literal, in bytes.
    pub(super) len: u16,
    /// Containers that are open around the value.
    pub(super) depth: u8,
    /// What to do with the value.
    pub(super) action: Action,
    /// Whether no declared parent stands before the value: the record's own keys are all that was seen.
    pub(super) plain: bool,
    /// The step that it follows.
    pub(super) before: u32,
    /// The first of the steps that may follow; longer literals come first, as one may begin another.
    follower: u32,
    /// The next step that may stand in the place of this one.
    other: u32,
}

/// A step of a record that was read key by key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Where the literal begins in the chunk.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// Containers that are open around the value.
    pub(super) depth: u8,
    /// Whether no declared parent stands before the value.
    pub(super) plain: bool,
    /// What to do with the value.
    pub(super) action: Action,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Learned {
    steps: Vec<Step>,
    words: Vec<u64>,
    absent: Vec<Box<[u32]>>,
    /// Good records that led out of the tree since it began to grow.
    strays: u32,
}

/// No step.
const NONE: u32 = u32::MAX;
/// The step before the first.
pub(super) const ROOT: u32 = 0;
/// Steps that are kept: a handful of layouts of wide records.
const STEPS_MAX: usize = 1_024;
/// Steps that may follow one.
const FOLLOWERS_MAX: usize = 8;
/// Bytes of a literal that is learned.
const LITERAL_BYTES_MAX: usize = 256;
/// Strays after which a full tree is forgotten: the producer has changed.
const STRAYS_MAX: u32 = 4_096;

const fn low_bytes(count: usize) -> u64 {
    if count >= 8 { u64::MAX } else { (1 << (8 * count)) - 1 }
}

impl Step {
    #[inline(always)]
    const fn begins(&self, words: [u64; 2]) -> bool {
        let first = (words[0] ^ self.head[0]) & self.head_mask[0];
        let second = (words[1] ^ self.head[1]) & self.head_mask[1];
        first | second == 0
    }
}

/// The steps of a tree, where a walk over them finds them at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways<'a> {
    steps: &'a [Step],
    words: &'a [u64],
}

impl<'a> Ways<'a> {
    /// The step before the first.
    #[inline(always)]
    pub(super) fn root(self) -> &'a Step {
        &self.steps[ROOT as usize]
    }

    /// The step that leads on from `from` at `p`.
    #[inline(always)]
    pub(super) fn next(self, from: &Step, b: &[u8], p: usize) -> Option<(u32, &'a Step)> {
        let mut number = from.follower;
        let head: &[u8; 16] = b[p..p + 16].try_into().expect("a slice of sixteen bytes");
        let words = [word(head, 0), word(head, 8)];
        // No step has the number that means none.
        while let Some(step) = self.steps.get(number as usize) {
            if step.begins(words) && (step.rest_words == 0 || self.rest_is(step, b, p + 16)) {
                return Some((number, step));
            }
            number = step.other;
        }
        None
    }

    fn rest_is(self, step: &Step, b: &[u8], p: usize) -> bool {
        let words = &self.words[step.rest as usize..][..step.rest_words as usize];
        let Some(bytes) = b.get(p..p + 8 * words.len()) else { return false };
        let Some((last, words)) = words.split_last() else { return true };
        let (bytes, tail) = bytes.split_at(8 * words.len());
        (word(tail, 0) ^ last) & step.tail_mask == 0
            && words.iter().zip(bytes.chunks_exact(8)).all(|(w, b)| word(b, 0) == *w)
    }
}

impl Learned {
    /// A tree of nothing.
    pub(super) fn new() -> Self {
        let mut learned = Self { steps: Vec::new(), words: Vec::new(), absent: Vec::new(), strays: 0 };
        learned.forget();
        learned
    }

    fn forget(&mut self) {
        self.steps.clear();
        self.words.clear();
        self.absent.clear();
        self.strays = 0;
        let mark = Mark { start: 0, end: 0, depth: 0, plain: true, action: Action::Skip };
        self.add(&[], mark);
    }

    /// The tree to walk over.
    #[inline(always)]
    pub(super) fn ways(&self) -> Ways<'_> {
        Ways { steps: &self.steps, words: &self.words }
    }

    /// The step of that number.
    pub(super) fn step(&self, number: u32) -> &Step {
        &self.steps[number as usize]
    }

    /// The fields that a record lacks which has ended so.
    #[inline(always)]
    pub(super) fn absent(&self, list: u32) -> &[u32] {
        &self.absent[list as usize]
    }

    /// Learns a good record that led out of the tree behind the step `from`. The last mark is its end, `absent` the
    /// fields that it lacks.
    pub(super) fn learn(&mut self, mut from: u32, b: &[u8], marks: &[Mark], absent: &[u32]) {
        self.strays += 1;
        if self.steps.len() + marks.len() > STEPS_MAX {
            if self.strays > STRAYS_MAX {
                self.forget();
            }
            return;
        }
        if marks.iter().any(|mark| mark.end - mark.start > LITERAL_BYTES_MAX) {
            return;
        }
        for mark in marks {
            let literal = &b[mark.start..mark.end];
            from = match self.known(from, b, mark) {
                Some(step) => step,
                None => {
                    if self.followers(from).count() == FOLLOWERS_MAX {
                        return;
                    }
                    let mut mark = *mark;
                    if let Action::End(list) = &mut mark.action {
                        *list = u32::try_from(self.absent.len()).expect("fewer lists than steps");
                        self.absent.push(absent.into());
                    }
                    let step = self.add(literal, mark);
                    self.enter(from, step);
                    step
                }
            };
        }
    }

    /// The step with exactly the mark's literal that may follow.
    fn known(&self, from: u32, b: &[u8], mark: &Mark) -> Option<u32> {
        let words = [word(b, mark.start), word(b, mark.start + 8)];
        let fits = |step: &Step| {
            let begins = usize::from(step.len) == mark.end - mark.start && step.begins(words);
            begins && (step.rest_words == 0 || self.ways().rest_is(step, b, mark.start + 16))
        };
        self.followers(from).find(|number| fits(&self.steps[*number as usize]))
    }

    fn followers(&self, from: u32) -> impl Iterator<Item = u32> {
        let step = |number: u32| (number != NONE).then_some(number);
        std::iter::successors(step(self.steps[from as usize].follower), move |number| {
            step(self.steps[*number as usize].other)
        })
    }

    /// A new step that follows none yet.
    fn add(&mut self, literal: &[u8], mark: Mark) -> u32 {
        let word = |number: usize| {
            let mut word = [0; 8];
            let bytes = literal.chunks(8).nth(number).unwrap_or_default();
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        let rest = self.words.len();
        let rest_words = literal.len().div_ceil(8).saturating_sub(2);
        self.words.extend((2..2 + rest_words).map(word));
        self.steps.push(Step {
            head: [word(0), word(1)],
            head_mask: [low_bytes(literal.len()), low_bytes(literal.len().saturating_sub(8))],
            rest: u32::try_from(rest).expect("few words"),
            rest_words: u16::try_from(rest_words).expect("literals are short"),
            tail_mask: low_bytes(literal.len().saturating_sub(8 + 8 * rest_words)),
            len: u16::try_from(literal.len()).expect("literals are short"),
            depth: mark.depth,
            action: mark.action,
            plain: mark.plain,
            before: ROOT,
            follower: NONE,
            other: NONE,
        });
        u32::try_from(self.steps.len() - 1).expect("few steps")
    }

    /// Makes `new` follow `from`, in front of those with shorter literals.
    fn enter(&mut self, from: u32, new: u32) {
        self.steps[new as usize].before = from;
        let len = self.steps[new as usize].len;
        let before = self.followers(from).take_while(|number| self.steps[*number as usize].len >= len).last();
        match before {
            None => {
                self.steps[new as usize].other = self.steps[from as usize].follower;
                self.steps[from as usize].follower = new;
            }
            Some(before) => {
                self.steps[new as usize].other = self.steps[before as usize].other;
                self.steps[before as usize].other = new;
            }
        }
    }
}

//! The canonical ABI of the contract, by hand: the only file of the SDK that may write `unsafe`.
//!
//! By hand because it is small, needs no runtime and no macro crate in an author's build, and because two things that
//! generated bindings cannot do make calls cheap: all that the host passes lies in one arena that is emptied after the
//! call, and state columns are changed in place and returned where they lie. How it is held up to date: the structs of
//! [`crate::record`] mirror the records of `wit/` field by field, a test there compares their layout with the one computed
//! from `wit/`, another [`CONTRACT`] with the digest of its text, and the encoder checks the signature of each export when
//! a component is made.
//!
//! Always true: a buffer from the host is 8-byte aligned (the arena aligns so) and lives until the host has read the
//! answer and calls `cabi_post_*`. Neighbours: [`crate::record`] has the records that cross, [`crate::row`] and
//! [`crate::state`] read and fill columns, [`crate::operator`] loops over them.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, OnceCell, RefCell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::take;

use crate::operator::{Context, Effects, Fault, Keyed, Keys, Step, Transform};
use crate::plan::{Plan, Refusal};
use crate::record::{Answer, RawEffects, RawFault, RawPlan, RawRefusal, RawStep, Rows, TableRows};

/// Digest of the contract's text (SHA-256 in hex, over `wit/{data,keyed,log,transform}.wit` in this order) that this file
/// mirrors. Each operator carries it in the section `wasmill:contract`.
pub const CONTRACT: [u8; 64] = *b"19842dd972a16f3eacf57b4efb84a3f1df64afb1418378d437d3034963bfcd05";

/// Numbers that may be read from any bytes and have no padding.
pub trait Plain: Copy + 'static + sealed::Sealed {}
mod sealed {
    pub trait Sealed {}
}
macro_rules! plain {
    ($($number:ty)*) => { $(impl sealed::Sealed for $number {} impl Plain for $number {})* };
}
plain!(u8 u32 i64 f64);

/// The bytes of numbers.
#[must_use]
pub fn bytes_of<T: Plain>(numbers: &[T]) -> &[u8] {
    // SAFETY: `Plain` numbers have no padding, and the slice covers exactly their memory.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// A list as it crosses: address and number of items, borrowed for `'a`.
#[repr(C)]
pub struct List<'a, T> {
    items: *const T,
    len: usize,
    lives: PhantomData<&'a [T]>,
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for List<'_, T> {}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self { items: std::ptr::dangling(), len: 0, lives: PhantomData }
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self { items: items.as_ptr(), len: items.len(), lives: PhantomData }
    }
}

impl<'a, T> From<&'a mut [T]> for List<'a, T> {
    fn from(items: &'a mut [T]) -> Self {
        Self { items: items.as_mut_ptr().cast_const(), len: items.len(), lives: PhantomData }
    }
}

impl<'a, T> List<'a, T> {
    /// A list among the arguments of a call.
    ///
    /// # Safety
    /// The host passes `items` and `len`, and the list is dropped before `cabi_post_*`.
    #[must_use]
    pub const unsafe fn passed(items: *const u8, len: usize) -> Self {
        Self { items: items.cast(), len, lives: PhantomData }
    }

    /// The items.
    #[must_use]
    pub fn get(self) -> &'a [T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: a non-empty list comes from a slice that lives for `'a`, or from the host, which wrote `len` items at an
        // address that our arena gave it, and which the arena keeps for `'a`.
        unsafe { std::slice::from_raw_parts(self.items, self.len) }
    }
}

impl<'a> List<'a, u8> {
    /// The numbers that the bytes are.
    ///
    /// # Panics
    /// When the bytes are not aligned or not a whole number of them: the host broke the contract.
    #[must_use]
    pub fn numbers<T: Plain>(self) -> &'a [T] {
        // SAFETY: every bit pattern is a `Plain` number.
        let (before, numbers, after) = unsafe { self.get().align_to::<T>() };
        assert!(before.is_empty() && after.is_empty(), "a buffer of the host is aligned and whole");
        numbers
    }
}

/// Bytes of the host that the contract says are UTF-8, which the host has checked, as text.
#[must_use]
pub fn text(bytes: &[u8]) -> &str {
    // SAFETY: `utf8` and `json` columns and all strings of the contract are UTF-8 value by value. The host checks what it
    // decodes before it passes it on; a host that did not could only harm the guest that it owns anyway.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// A buffer that this side alone may change until it is returned.
#[repr(C)]
pub struct Buffer<'a> {
    bytes: List<'a, u8>,
    unique: PhantomData<&'a mut [u8]>,
}

impl<'a> Buffer<'a> {
    /// The numbers that the bytes are.
    ///
    /// # Panics
    /// As [`List::numbers`].
    #[must_use]
    pub fn into_numbers<T: Plain>(self) -> &'a mut [T] {
        if self.bytes.len == 0 {
            return &mut [];
        }
        // SAFETY: a `Buffer` is not `Clone`, is made from a `&mut` or from the host's arguments, which nobody else holds,
        // and every bit pattern is a `Plain` number.
        let (before, numbers, after) = unsafe {
            std::slice::from_raw_parts_mut(self.bytes.items.cast_mut(), self.bytes.len).align_to_mut::<T>()
        };
        assert!(before.is_empty() && after.is_empty(), "a buffer of the host is aligned and whole");
        numbers
    }
}

impl<'a, T: Plain> From<&'a mut [T]> for Buffer<'a> {
    fn from(numbers: &'a mut [T]) -> Self {
        let len = size_of_val(numbers);
        let bytes = List { items: numbers.as_mut_ptr().cast::<u8>().cast_const(), len, lives: PhantomData };
        Self { bytes, unique: PhantomData }
    }
}

impl Default for Buffer<'_> {
    fn default() -> Self {
        Self { bytes: List::default(), unique: PhantomData }
    }
}

impl<'a, T: Default> List<'a, T> {
    /// The items of a list of the host's arguments, each taken out.
    pub(crate) fn take_each(self) -> impl Iterator<Item = T> + use<'a, T> {
        let items: &'a mut [T] = if self.len == 0 {
            &mut []
        } else {
            // SAFETY: called once a list, on arguments that the host wrote for this call or that came as `&mut`.
            unsafe { std::slice::from_raw_parts_mut(self.items.cast_mut(), self.len) }
        };
        items.iter_mut().map(take)
    }
}

/// Memory for one call: what the host passes and the lists of the answer. Emptied as a whole.
pub struct Arena {
    chunks: RefCell<Vec<(*mut u8, Layout)>>,
    next: Cell<*mut u8>,
    left: Cell<usize>,
}

/// Bytes of the first chunk of an arena.
const FIRST_CHUNK_BYTES: usize = 64 << 10;
/// Alignment of everything in an arena: that of the widest number.
const ALIGN: usize = 8;

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    /// An empty arena.
    #[must_use]
    pub const fn new() -> Self {
        Self { chunks: RefCell::new(Vec::new()), next: Cell::new(std::ptr::null_mut()), left: Cell::new(0) }
    }

    /// Room for so many bytes.
    fn room(&self, bytes: usize) -> *mut u8 {
        let bytes = bytes.next_multiple_of(ALIGN).max(ALIGN);
        if bytes > self.left.get() {
            self.grow(bytes);
        }
        let room = self.next.get();
        self.left.set(self.left.get() - bytes);
        self.next.set(room.wrapping_add(bytes));
        room
    }

    #[cold]
    fn grow(&self, bytes: usize) {
        let mut chunks = self.chunks.borrow_mut();
        let size = chunks.last().map_or(FIRST_CHUNK_BYTES, |(_, layout)| layout.size() * 2).max(bytes);
        let layout = Layout::from_size_align(size, ALIGN).expect("the host passes less than half of the address space");
        // SAFETY: the size is not zero.
        let chunk = unsafe { alloc(layout) };
        if chunk.is_null() {
            handle_alloc_error(layout);
        }
        chunks.push((chunk, layout));
        self.next.set(chunk);
        self.left.set(size);
    }

    /// These items as a list.
    pub(crate) fn list<'a, T>(&'a self, items: impl ExactSizeIterator<Item = T>) -> List<'a, T> {
        const { assert!(align_of::<T>() <= ALIGN && !std::mem::needs_drop::<T>()) };
        let (start, most) = (self.room(items.len() * size_of::<T>()).cast::<T>(), items.len());
        let mut len = 0;
        for item in items.take(most) {
            // SAFETY: there is room for `most` items from `start`, which is aligned; `len < most`.
            unsafe { start.add(len).write(item) };
            len += 1;
        }
        List { items: start, len, lives: PhantomData }
    }

    /// Empties it; the largest chunk stays for the next call.
    fn clear(&mut self) {
        let chunks = self.chunks.get_mut();
        let Some((kept, layout)) = chunks.pop() else { return };
        for (chunk, layout) in chunks.drain(..) {
            // SAFETY: allocated by `grow` with this layout; `&mut self` shows that nothing points into it.
            unsafe { dealloc(chunk, layout) };
        }
        chunks.push((kept, layout));
        self.next.set(kept);
        self.left.set(layout.size());
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (chunk, layout) in self.chunks.get_mut().drain(..) {
            // SAFETY: allocated by `grow` with this layout; `&mut self` shows that nothing points into it.
            unsafe { dealloc(chunk, layout) };
        }
    }
}

/// What an answer points to until the host has read it.
enum Held {
    Nothing,
    Opened(Result<Plan, Refusal>),
    Done(Effects),
    Stepped(Result<Step<'static>, Fault>),
}

/// The one operator of an instance, with the memory of the call that runs.
pub struct Instance<O> {
    operator: OnceCell<O>,
    arena: UnsafeCell<Arena>,
    held: UnsafeCell<Held>,
}

// SAFETY: a component has one thread and the host does not enter it while a call runs.
unsafe impl<O> Sync for Instance<O> {}

impl<O: 'static> Default for Instance<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: 'static> Instance<O> {
    /// An instance that is not yet open.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            operator: OnceCell::new(),
            arena: UnsafeCell::new(Arena::new()),
            held: UnsafeCell::new(Held::Nothing),
        }
    }

    fn arena(&'static self) -> &'static Arena {
        // SAFETY: the only `&mut` is made in `finished`, when no reference from before is used any more.
        unsafe { &*self.arena.get() }
    }

    fn hold(&'static self, held: Held) -> &'static Held {
        // SAFETY: called once a call, and the answer of the call before was finished.
        unsafe {
            *self.held.get() = held;
            &*self.held.get()
        }
    }

    /// `cabi_realloc`: room for the host's arguments.
    pub fn realloc(&'static self, old: *const u8, old_bytes: usize, bytes: usize) -> *mut u8 {
        let room = self.arena().room(bytes);
        if old_bytes > 0 {
            // SAFETY: the host says that `old` has `old_bytes`, and `room` is new and has `bytes`.
            unsafe { std::ptr::copy_nonoverlapping(old, room, old_bytes.min(bytes)) };
        }
        room
    }

    /// `cabi_post_*`: the host has read the answer.
    pub fn finished(&'static self) {
        // SAFETY: the host calls this when no call runs; what the last one borrowed from here is gone with it.
        unsafe {
            *self.held.get() = Held::Nothing;
            (*self.arena.get()).clear();
        }
    }

    fn answer<T>(&'static self, answer: T) -> *const T {
        self.arena().list(std::iter::once(answer)).items
    }

    fn opened(&'static self, opened: Result<(O, Plan), Refusal>) -> *const Answer<RawPlan<'static>, RawRefusal<'static>> {
        let plan = opened.map(|(operator, plan)| {
            assert!(self.operator.set(operator).is_ok(), "an instance is opened once");
            plan
        });
        let Held::Opened(plan) = self.hold(Held::Opened(plan)) else { unreachable!("it was just put there") };
        self.answer(crate::record::lower_plan(plan, self.arena()))
    }

    fn operator(&'static self) -> &'static O {
        self.operator.get().expect("the host opens an instance before it calls it")
    }
}

/// What `transform.process` answers.
pub type Processed = Answer<RawEffects<'static>, RawFault<'static>>;
/// What `keyed.process` answers.
pub type Stepped = Answer<RawStep<'static>, RawFault<'static>>;

impl<O: Transform + 'static> Instance<O> {
    /// `transform.open`.
    pub fn open_transform(&'static self, config: List<'static, u8>) -> *const Answer<RawPlan<'static>, RawRefusal<'static>> {
        crate::log::install_panic_hook();
        self.opened(O::open(text(config.get())))
    }

    /// `transform.process`.
    pub fn transform(&'static self, context: &Context, rows: Rows<'static>) -> *const Processed {
        let effects = self.operator().process(context, rows);
        let Held::Done(effects) = self.hold(Held::Done(effects)) else { unreachable!("it was just put there") };
        self.answer(Processed::Ok(crate::record::lower_effects(effects, self.arena())))
    }
}

impl<O: Keyed + 'static> Instance<O> {
    /// `keyed.open`.
    pub fn open_keyed(&'static self, config: List<'static, u8>) -> *const Answer<RawPlan<'static>, RawRefusal<'static>> {
        crate::log::install_panic_hook();
        self.opened(O::open(text(config.get())))
    }

    /// `keyed.process`.
    pub fn keyed(
        &'static self,
        context: &Context,
        rows: Rows<'static>,
        slots: List<'static, u8>,
        keys: u32,
        tables: List<'static, TableRows<'static>>,
    ) -> *const Stepped {
        let table = tables.take_each().next().expect("the host passes the one table of the plan");
        let keys = Keys { slots: slots.numbers(), count: keys as usize, table };
        self.stepped(Ok(self.operator().process(context, rows, keys)))
    }

    /// `keyed.on-timers`: the host has no reason to call it, as no operator of this SDK sets timers yet.
    pub fn on_timers(&'static self) -> *const Stepped {
        self.stepped(Err(Fault { message: "this operator sets no timers".to_owned() }))
    }

    fn stepped(&'static self, step: Result<Step<'static>, Fault>) -> *const Stepped {
        let Held::Stepped(step) = self.hold(Held::Stepped(step)) else { unreachable!("it was just put there") };
        self.answer(crate::record::lower_step(step, self.arena()))
    }
}

#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "wasmill:operator/log@0.1.0")]
unsafe extern "C" {
    #[link_name = "write"]
    fn log_write(level: i32, message: *const u8, len: usize);
}

/// `log.write`; outside of a component, the standard error stream.
pub(crate) fn log(level: crate::log::Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the import takes a level of `log.level` and a string, which it reads before it returns.
    unsafe {
        log_write(level as i32, message.as_ptr(), message.len());
    }
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}

/// Exports an operator: the functions of its interface under the names that the encoder looks for, and the digest of the
/// contract. Used by the operator attributes; outside of a component it only uses the operator.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($kind:ident $operator:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: $crate::abi::Instance<$operator> = $crate::abi::Instance::new();

        #[cfg(target_arch = "wasm32")]
        static INSTANCE: $crate::abi::Instance<$operator> = $crate::abi::Instance::new();

        #[cfg(target_arch = "wasm32")]
        #[used]
        #[unsafe(link_section = "wasmill:contract")]
        static CONTRACT: [u8; 64] = $crate::abi::CONTRACT;

        #[cfg(target_arch = "wasm32")]
        #[unsafe(export_name = "cabi_realloc")]
        extern "C" fn realloc(old: *const u8, old_bytes: usize, _align: usize, bytes: usize) -> *mut u8 {
            INSTANCE.realloc(old, old_bytes, bytes)
        }

        #[cfg(target_arch = "wasm32")]
        $crate::__export_functions!($kind);
    };
}

/// The functions of an interface. Every pointer and length in them is an argument of the host for this very call.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_functions {
    (Transform) => {
        #[unsafe(export_name = "wasmill:operator/transform@0.1.0#open")]
        extern "C" fn open(config: *const u8, len: usize, _input: *const u8, _fields: usize) -> *const u8 {
            // SAFETY: as said above.
            INSTANCE.open_transform(unsafe { $crate::abi::List::passed(config, len) }).cast()
        }

        #[unsafe(export_name = "wasmill:operator/transform@0.1.0#process")]
        extern "C" fn process(
            batch: u64, attempt: u32, watermark: i64, now: i64, seed: u64,
            count: u32, columns: *const u8, len: usize,
        ) -> *const u8 {
            let context = $crate::operator::Context { batch, attempt, watermark, now, seed };
            // SAFETY: as said above.
            let columns = unsafe { $crate::abi::List::passed(columns, len) };
            INSTANCE.transform(&context, $crate::record::Rows { count, columns }).cast()
        }

        $crate::__export_functions!(finished "cabi_post_wasmill:operator/transform@0.1.0#open", open_finished);
        $crate::__export_functions!(finished "cabi_post_wasmill:operator/transform@0.1.0#process", process_finished);
    };
    (Keyed) => {
        #[unsafe(export_name = "wasmill:operator/keyed@0.1.0#open")]
        extern "C" fn open(config: *const u8, len: usize, _input: *const u8, _fields: usize) -> *const u8 {
            // SAFETY: as said above.
            INSTANCE.open_keyed(unsafe { $crate::abi::List::passed(config, len) }).cast()
        }

        #[unsafe(export_name = "wasmill:operator/keyed@0.1.0#process")]
        extern "C" fn process(
            batch: u64, attempt: u32, watermark: i64, now: i64, seed: u64,
            count: u32, columns: *const u8, len: usize,
            slots: *const u8, slots_len: usize, keys: u32, tables: *const u8, tables_len: usize,
        ) -> *const u8 {
            let context = $crate::operator::Context { batch, attempt, watermark, now, seed };
            // SAFETY: as said above.
            let (columns, slots, tables) = unsafe {
                use $crate::abi::List;
                (List::passed(columns, len), List::passed(slots, slots_len), List::passed(tables, tables_len))
            };
            INSTANCE.keyed(&context, $crate::record::Rows { count, columns }, slots, keys, tables).cast()
        }

        #[unsafe(export_name = "wasmill:operator/keyed@0.1.0#on-timers")]
        extern "C" fn on_timers(
            _batch: u64, _attempt: u32, _watermark: i64, _now: i64, _seed: u64,
            _due: *const u8, _due_len: usize, _keys: u32, _tables: *const u8, _tables_len: usize,
        ) -> *const u8 {
            INSTANCE.on_timers().cast()
        }

        $crate::__export_functions!(finished "cabi_post_wasmill:operator/keyed@0.1.0#open", open_finished);
        $crate::__export_functions!(finished "cabi_post_wasmill:operator/keyed@0.1.0#process", process_finished);
        $crate::__export_functions!(finished "cabi_post_wasmill:operator/keyed@0.1.0#on-timers", timers_finished);
    };
    (finished $name:literal, $function:ident) => {
        #[unsafe(export_name = $name)]
        extern "C" fn $function(_answer: *const u8) {
            INSTANCE.finished();
        }
    };
}

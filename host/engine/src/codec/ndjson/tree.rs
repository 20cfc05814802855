//! The declared fields as a tree of keys: `site.name` is key `name` in the object under key `site`.

use super::scan::word;
use crate::schema::Schema;

/// A declared key.
#[derive(Debug)]
pub(super) struct Node {
    /// The key; empty for the root.
    pub(super) key: Box<str>,
    /// The key's first eight bytes, as [`head`] has them.
    head: u64,
    /// The field that is declared under this key, if the key is not only a parent.
    pub(super) field: Option<u32>,
    /// Keys that are declared within it, and how most producers write each.
    pub(super) children: Vec<u32>,
    spellings: Vec<Spelling>,
    /// By [`place`] of its first bytes the number of a child that may be meant.
    places: [u8; PLACES],
    /// The key that it is within; the root is its own.
    parent: u32,
}

/// Entries of a node's table of children.
const PLACES: usize = 64;

/// A number that differs for most keys, from the first four bytes behind the quote.
#[inline(always)]
const fn place(word: u64) -> usize {
    (((word >> 8) as u32).wrapping_mul(0x9e37_79b1) >> 26) as usize
}

/// A key with its quotes and colon as two words.
#[derive(Debug)]
struct Spelling {
    words: [u64; 2],
    masks: [u64; 2],
    /// Length in bytes; 0 = it does not fit, or has a character that must be escaped.
    len: u8,
}

impl Spelling {
    fn new(key: &str) -> Self {
        let len = key.len() + 3;
        let plain = key.bytes().all(|byte| byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
        if len > 16 || !plain {
            return Self { words: [1; 2], masks: [0; 2], len: 0 };
        }
        let (mut text, mut mask) = ([0; 16], [0; 16]);
        text[..len].copy_from_slice(format!("\"{key}\":").as_bytes());
        mask[..len].fill(0xff);
        let words = |bytes: [u8; 16]| [word(&bytes, 0), word(&bytes, 8)];
        Self { words: words(text), masks: words(mask), len: u8::try_from(len).expect("at most sixteen") }
    }

    /// Whether two words begin with it.
    #[inline(always)]
    const fn is(&self, words: [u64; 2]) -> bool {
        let (low, high) = (words[0] ^ self.words[0], words[1] ^ self.words[1]);
        (low & self.masks[0]) | (high & self.masks[1]) == 0 && self.len > 0
    }
}

/// All declared keys. The first node is the record itself.
#[derive(Debug)]
pub(super) struct Tree {
    /// The declared fields.
    pub(super) schema: Schema,
    /// The keys.
    pub(super) nodes: Vec<Node>,
    /// The node of each field.
    pub(super) leaves: Vec<u32>,
}

/// Position of the record itself among the nodes.
pub(super) const ROOT: u32 = 0;

/// The first eight bytes of a key, zeros behind a shorter one.
fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_le_bytes(bytes)
}

impl Tree {
    /// The tree of a schema's fields.
    pub(super) fn new(schema: &Schema) -> Self {
        let root = Node {
            key: "".into(),
            head: 0,
            field: None,
            children: Vec::new(),
            spellings: Vec::new(),
            places: [0; PLACES],
            parent: ROOT,
        };
        let mut tree = Self { schema: schema.clone(), nodes: vec![root], leaves: Vec::new() };
        for (position, field) in (0_u32..).zip(schema.fields()) {
            let leaf = field.name.split('.').fold(ROOT, |node, key| tree.enter(node, key));
            tree.nodes[leaf as usize].field = Some(position);
            tree.leaves.push(leaf);
        }
        tree
    }

    /// The node of `key` within `parent`, made where it is not there.
    fn enter(&mut self, parent: u32, key: &str) -> u32 {
        let children = &self.nodes[parent as usize].children;
        if let Some(child) = children.iter().find(|child| &*self.nodes[**child as usize].key == key) {
            return *child;
        }
        let child = u32::try_from(self.nodes.len()).expect("fewer fields than 2^32");
        let head = head(key.as_bytes());
        let (children, spellings) = (Vec::new(), Vec::new());
        self.nodes.push(Node { key: key.into(), head, field: None, children, spellings, places: [0; PLACES], parent });
        let node = &mut self.nodes[parent as usize];
        let spelling = Spelling::new(key);
        if let Ok(number) = u8::try_from(node.children.len()) {
            node.places[place(spelling.words[0])] = number;
        }
        node.children.push(child);
        node.spellings.push(spelling);
        child
    }

    /// The path of a node, as fields are named.
    pub(super) fn path(&self, node: u32) -> String {
        let node = &self.nodes[node as usize];
        if node.parent == ROOT { node.key.to_string() } else { format!("{}.{}", self.path(node.parent), node.key) }
    }

    /// The child of `node` whose key is written at `p` in its plainest form, and the position after the colon; not all
    /// are found. `first` is as for [`Tree::child`].
    #[inline(always)]
    pub(super) fn spelled(&self, node: u32, b: &[u8], p: usize, first: &mut usize) -> Option<(u32, usize)> {
        let node = &self.nodes[node as usize];
        let words = [word(b, p), word(b, p + 8)];
        let fits = |number: usize| node.spellings.get(number).is_some_and(|spelling| spelling.is(words));
        let number = if fits(*first) { *first } else { usize::from(node.places[place(words[0])]) };
        if !fits(number) {
            return None;
        }
        *first = number + 1;
        Some((node.children[number], p + usize::from(node.spellings[number].len)))
    }

    /// The child of `node` under that key. `first` is the number of the child to try first, and is set to the one
    /// behind the one found: keys mostly stand in the same order.
    pub(super) fn child(&self, node: u32, key: &[u8], first: &mut usize) -> Option<u32> {
        let children = &self.nodes[node as usize].children;
        let head = head(key);
        for turn in 0..children.len() {
            let number = (*first + turn) % children.len();
            let child = &self.nodes[children[number] as usize];
            if child.head == head && child.key.as_bytes() == key {
                *first = number + 1;
                return Some(children[number]);
            }
        }
        None
    }

    /// The fields at and under a node.
    pub(super) fn fields_under(&self, node: u32, visit: &mut dyn FnMut(u32)) {
        let node = &self.nodes[node as usize];
        node.field.into_iter().for_each(&mut *visit);
        node.children.iter().for_each(|child| self.fields_under(*child, visit));
    }
}

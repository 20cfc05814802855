//! The declared fields as a tree of keys: `site.name` is key `name` in the object under key `site`.

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
    /// Keys that are declared within it.
    pub(super) children: Vec<u32>,
    /// The key that it is within; the root is its own.
    parent: u32,
}

/// All declared keys. The first node is the record itself.
#[derive(Debug)]
pub(super) struct Tree {
    /// The declared fields.
    pub(super) schema: Schema,
    /// The keys.
    pub(super) nodes: Vec<Node>,
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
        let root = Node { key: "".into(), head: 0, field: None, children: Vec::new(), parent: ROOT };
        let mut tree = Self { schema: schema.clone(), nodes: vec![root] };
        for (position, field) in (0_u32..).zip(schema.fields()) {
            let leaf = field.name.split('.').fold(ROOT, |node, key| tree.enter(node, key));
            tree.nodes[leaf as usize].field = Some(position);
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
        self.nodes.push(Node { key: key.into(), head, field: None, children: Vec::new(), parent });
        self.nodes[parent as usize].children.push(child);
        child
    }

    /// The path of a node, as fields are named.
    pub(super) fn path(&self, node: u32) -> String {
        let node = &self.nodes[node as usize];
        if node.parent == ROOT { node.key.to_string() } else { format!("{}.{}", self.path(node.parent), node.key) }
    }

    /// The child of `node` under that key. `first` is the number of the child to try first, and is set to the one behind
    /// the one found: keys mostly stand in the same order.
    pub(super) fn child(&self, node: u32, key: &[u8], first: &mut usize) -> Option<u32> {
        let children = &self.nodes[node as usize].children;
        let head = head(key);
        for turn in 0..children.len() {
            let number = if *first + turn < children.len() { *first + turn } else { *first + turn - children.len() };
            let child = &self.nodes[children[number] as usize];
            if child.head == head && child.key.as_bytes() == key {
                *first = if number + 1 < children.len() { number + 1 } else { 0 };
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

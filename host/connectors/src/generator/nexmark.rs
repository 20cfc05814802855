//! Nexmark's auction site: of 50 events the first is a person, the next three are auctions, the other 46 bids.
//!
//! The proportions and fields are the benchmark's; half of the bids go to a few hot auctions and three quarters come
//! from a few hot bidders. A bid as a line of JSON has about 243 bytes. Prices are spread evenly over powers of two,
//! not by a power function, so that they are the same on every machine.

use wasmill_engine::clock::Micros;
use wasmill_engine::schema::{Field, Kind, Schema};

use super::config::{Config, Only};
use super::fields::Fields;
use super::random::Random;

const ROUND: u64 = 50;
const AUCTIONS: u64 = 3;
const BIDS: u64 = 46;

/// Auctions that are open at a time, and persons that are active.
const OPEN_AUCTIONS: u64 = 100;
const ACTIVE_PERSONS: u64 = 1_000;
/// Every so many ids one is hot.
const HOT_EVERY: u64 = 100;

const CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [(&str, &str); 10] = [
    ("Phoenix", "AZ"),
    ("Los Angeles", "CA"),
    ("San Francisco", "CA"),
    ("Boise", "ID"),
    ("Portland", "OR"),
    ("Bend", "OR"),
    ("Redmond", "WA"),
    ("Seattle", "WA"),
    ("Kent", "WA"),
    ("Cheyenne", "WY"),
];

const PERSON: [(&str, Kind); 7] = [
    ("id", Kind::Int64),
    ("name", Kind::Utf8),
    ("email_address", Kind::Utf8),
    ("credit_card", Kind::Utf8),
    ("city", Kind::Utf8),
    ("state", Kind::Utf8),
    ("extra", Kind::Utf8),
];
const AUCTION: [(&str, Kind); 9] = [
    ("id", Kind::Int64),
    ("item_name", Kind::Utf8),
    ("description", Kind::Utf8),
    ("initial_bid", Kind::Int64),
    ("reserve", Kind::Int64),
    ("expires", Kind::Timestamp),
    ("seller", Kind::Int64),
    ("category", Kind::Int64),
    ("extra", Kind::Utf8),
];
const BID: [(&str, Kind); 7] = [
    ("id", Kind::Int64),
    ("auction", Kind::Int64),
    ("bidder", Kind::Int64),
    ("price", Kind::Int64),
    ("channel", Kind::Utf8),
    ("url", Kind::Utf8),
    ("extra", Kind::Utf8),
];

/// The fields of one kind of event, flat, or of all three, a nullable group each. `date_time` stands before `extra`
/// in a flat row, where the benchmark has it.
pub(super) fn schema(only: Option<Only>) -> Schema {
    let fields = match only {
        Some(Only::Persons) => flat(&PERSON),
        Some(Only::Auctions) => flat(&AUCTION),
        Some(Only::Bids) => flat(&BID),
        None => {
            let mut fields = vec![
                Field::required("id", Kind::Int64),
                Field::required("event_type", Kind::Utf8),
                Field::required("date_time", Kind::Timestamp),
            ];
            for (group, members) in [("person", &PERSON[..]), ("auction", &AUCTION), ("bid", &BID)] {
                fields.extend(members.iter().map(|(name, kind)| Field::nullable(&format!("{group}.{name}"), *kind)));
            }
            fields
        }
    };
    Schema::new(fields)
}

fn flat(members: &[(&str, Kind)]) -> Vec<Field> {
    let mut fields: Vec<Field> = members.iter().map(|(name, kind)| Field::required(name, *kind)).collect();
    fields.insert(members.len() - 1, Field::required("date_time", Kind::Timestamp));
    fields
}

/// Where an event stands among all.
struct Place {
    /// Its number among all three kinds.
    event: u64,
    /// Its number among its own kind.
    own: u64,
    /// Rounds before it.
    round: u64,
    /// Its kind.
    kind: Only,
}

impl Place {
    /// The place of event `number`, which counts the events of kind `only` if there is one.
    fn of(only: Option<Only>, number: u64) -> Self {
        let (round, rest) = match only {
            None => (number / ROUND, number % ROUND),
            Some(Only::Persons) => (number, 0),
            Some(Only::Auctions) => (number / AUCTIONS, 1 + number % AUCTIONS),
            Some(Only::Bids) => (number / BIDS, 1 + AUCTIONS + number % BIDS),
        };
        let (kind, own) = match rest {
            0 => (Only::Persons, round),
            1..=AUCTIONS => (Only::Auctions, round * AUCTIONS + rest - 1),
            _ => (Only::Bids, round * BIDS + rest - 1 - AUCTIONS),
        };
        Self { event: round * ROUND + rest, own, round, kind }
    }
}

/// Describes event `number`, which counts the events of `config.only` if there is one.
#[inline]
pub(super) fn describe(config: &Config, (start, step): (Micros, Micros), number: u64, fields: &mut impl Fields) {
    let place = Place::of(config.only, number);
    let mut random = Random::of(config.seed, place.event);
    let error = config.error_share > 0.0 && random.in_share(config.error_share);
    let time = start + place.event as i64 * step;
    let random = &mut random;
    if config.only.is_some() {
        return match place.kind {
            Only::Persons => person(&place, error, random, Some(time), fields),
            Only::Auctions => auction(&place, error, random, (time, step), true, fields),
            Only::Bids => bid(&place, error, random, Some(time), fields),
        };
    }
    fields.int("id", number as i64);
    let name = ["person", "auction", "bid"][place.kind as usize];
    fields.text("event_type", |text| text.extend_from_slice(name.as_bytes()));
    fields.time("date_time", time);
    let before = [0, PERSON.len(), PERSON.len() + AUCTION.len()][place.kind as usize];
    let after = [AUCTION.len() + BID.len(), BID.len(), 0][place.kind as usize];
    fields.absent(before);
    fields.open(name);
    match place.kind {
        Only::Persons => person(&place, error, random, None, fields),
        Only::Auctions => auction(&place, error, random, (time, step), false, fields),
        Only::Bids => bid(&place, error, random, None, fields),
    }
    fields.close();
    fields.absent(after);
}

fn person(place: &Place, error: bool, random: &mut Random, time: Option<Micros>, fields: &mut impl Fields) {
    let first = FIRST_NAMES[random.below(FIRST_NAMES.len() as u64) as usize];
    let last = LAST_NAMES[random.below(LAST_NAMES.len() as u64) as usize];
    let (city, state) = CITIES[random.below(CITIES.len() as u64) as usize];
    fields.int("id", place.own as i64);
    fields.text("name", |text| [first, " ", last].iter().for_each(|part| text.extend_from_slice(part.as_bytes())));
    fields.text("email_address", |text| {
        if !error {
            random.letters(7, text);
            text.push(b'@');
            random.letters(5, text);
            text.extend_from_slice(b".com");
        }
    });
    let card = random.bits();
    fields.text("credit_card", |text| {
        for group in 0..4 {
            let digits = 10_000 + (card >> (16 * group)) % 10_000;
            let mut buffer = itoa::Buffer::new();
            text.extend_from_slice(&buffer.format(digits).as_bytes()[1..]);
            text.push(b' ');
        }
        text.pop();
    });
    fields.text("city", |text| text.extend_from_slice(city.as_bytes()));
    fields.text("state", |text| text.extend_from_slice(state.as_bytes()));
    if let Some(time) = time {
        fields.time("date_time", time);
    }
    extra(random, 60, fields);
}

fn auction(
    place: &Place,
    error: bool,
    random: &mut Random,
    (time, step): (Micros, Micros),
    flat: bool,
    fields: &mut impl Fields,
) {
    let price = price(random);
    fields.int("id", place.own as i64);
    fields.text("item_name", |text| random.letters(16, text));
    fields.text("description", |text| random.letters(64, text));
    fields.int("initial_bid", if error { -price } else { price });
    fields.int("reserve", price + random.below(price.unsigned_abs()) as i64);
    fields.time("expires", time + step * (ROUND + random.below(10 * ROUND)) as i64);
    fields.int("seller", active_person(place, random));
    fields.int("category", 10 + random.below(5) as i64);
    if flat {
        fields.time("date_time", time);
    }
    extra(random, 60, fields);
}

#[inline]
fn bid(place: &Place, error: bool, random: &mut Random, time: Option<Micros>, fields: &mut impl Fields) {
    let newest = place.round * AUCTIONS + AUCTIONS - 1;
    let auction = if random.below(2) == 0 {
        newest / HOT_EVERY * HOT_EVERY
    } else {
        newest - random.below(newest.min(OPEN_AUCTIONS) + 1)
    };
    let bidder = active_person(place, random);
    let price = price(random);
    fields.int("id", place.own as i64);
    fields.int("auction", auction as i64);
    fields.int("bidder", bidder);
    fields.int("price", if error { -price } else { price });
    let channel = random.below(20_000);
    fields.text("channel", |text| match CHANNELS.get((channel % 8) as usize) {
        Some(channel) => text.extend_from_slice(channel.as_bytes()),
        None => numbered(b"channel-", channel / 2, text),
    });
    fields.text("url", |text| {
        let mut letters = [0u8; 16];
        letters[..8].copy_from_slice(&four_bits(random.bits()));
        letters[8..].copy_from_slice(&four_bits(random.bits()));
        text.extend_from_slice(b"https://www.nexmark.com/");
        for part in 0..3 {
            text.extend_from_slice(&letters[5 * part..5 * part + 5]);
            text.push(b'/');
        }
        numbered(b"item.htm?query=1&channel_id=", channel, text);
    });
    if let Some(time) = time {
        fields.time("date_time", time);
    }
    extra(random, 33, fields);
}

/// Eight letters.
fn four_bits(bits: u64) -> [u8; 8] {
    ((bits & 0x0f0f_0f0f_0f0f_0f0f) + 0x6161_6161_6161_6161).to_le_bytes()
}

/// Three of four are the newest hot person, the others any active one.
fn active_person(place: &Place, random: &mut Random) -> i64 {
    let newest = place.round;
    let person = if random.below(4) > 0 {
        newest / HOT_EVERY * HOT_EVERY
    } else {
        newest - random.below(newest.min(ACTIVE_PERSONS) + 1)
    };
    person as i64
}

/// 100 to 100 million, each power of two as often as any other.
fn price(random: &mut Random) -> i64 {
    let bits = random.bits();
    let power = 1 << (((bits >> 32) * 20) >> 32);
    (100 * power + (bits & 0xffff_ffff) * 100 * power / (1 << 32)) as i64
}

fn numbered(prefix: &[u8], number: u64, text: &mut Vec<u8>) {
    text.extend_from_slice(prefix);
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn extra(random: &mut Random, about: usize, fields: &mut impl Fields) {
    let count = about - 8 + random.below(17) as usize;
    fields.text("extra", |text| random.letters(count, text));
}

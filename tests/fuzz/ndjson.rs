//! NDJSON beside `serde_json`: a line is good only if it reads it as an object, and a value is what it says.
#![no_main]

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wasmill_engine::schema::{Field, Format, Kind};
use wasmill_fuzz::decode;

fuzz_target!(|data: &[u8]| {
    let fields =
        [Field::nullable("s", Kind::Utf8), Field::nullable("i", Kind::Int64), Field::nullable("o.f", Kind::Float64)];
    let decoded = decode(Format::Ndjson, &fields, data);
    let column = |position: usize| decoded.records.columns[position].as_ref().expect("all columns are filled");
    let (texts, numbers) = (column(0).as_string::<i32>(), column(1).as_primitive::<Int64Type>());
    let floats = column(2).as_primitive::<Float64Type>();
    for row in 0..decoded.records.rows {
        let bytes = decoded.records.bytes(row).expect("a record of lines has bytes");
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            panic!("serde_json refuses {:?}", String::from_utf8_lossy(bytes));
        };
        assert!(value.is_object());
        assert_eq!(texts.is_valid(row).then(|| texts.value(row)), value["s"].as_str());
        assert_eq!(numbers.is_valid(row).then(|| numbers.value(row)), value["i"].as_i64());
        let float = floats.is_valid(row).then(|| floats.value(row).to_bits());
        assert_eq!(float, value["o"]["f"].as_f64().map(f64::to_bits));
    }
    for letter in &decoded.bad {
        // A declared key that stands twice is bad here and the last one counts there: not told apart cheaply.
        if let Ok(Value::Object(value)) = serde_json::from_slice(&letter.record) {
            let of_kind =
                |name: &str, right: &dyn Fn(&Value) -> bool| value.get(name).is_none_or(|v| v.is_null() || right(v));
            let kinds = of_kind("s", &Value::is_string)
                && of_kind("i", &Value::is_i64)
                && of_kind("o", &|o| o.is_object() && (o["f"].is_null() || o["f"].is_number()));
            let text = String::from_utf8_lossy(&letter.record);
            let often = |key: &str| text.matches(key).count() > 1;
            let twice = text.contains('\\') || ["\"s\"", "\"i\"", "\"o\"", "\"f\""].into_iter().any(often);
            assert!(!kinds || twice, "{} but serde_json reads it", letter.reason);
        }
    }
});

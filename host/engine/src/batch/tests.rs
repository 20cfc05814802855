//! What a batch says of where its rows are from.

use arrow_array::types::TimestampMicrosecondType;

use super::*;

fn batch(message: Option<(BinaryArray, StringArray)>, event_time: Option<Vec<i64>>) -> Batch {
    let records = Records {
        source: "orders".into(),
        partition: "in/b.ndjson".into(),
        rows: 4,
        columns: Vec::new(),
        event_time: event_time.map(ScalarBuffer::from),
        message,
        raw: None,
        first: 100,
    };
    let layout = Layout::of_source(&crate::schema::Schema::new(Vec::new()));
    // Twice from the second record, none from the first.
    Batch::new(Arc::new(records), Arc::new(layout)).pick(&UInt32Array::from(vec![3, 1, 1]))
}

fn texts(batch: &Batch, meta: Meta) -> Vec<Option<String>> {
    let column = batch.meta(meta);
    match column.as_string_opt::<i32>() {
        Some(texts) => texts.iter().map(|text| text.map(str::to_owned)).collect(),
        None => column.as_binary::<i32>().iter().map(|it| it.map(|it| String::from_utf8_lossy(it).into())).collect(),
    }
}

#[test]
fn a_row_says_its_source_its_partition_and_its_number_there() {
    let batch = batch(None, None);
    let same = |text: &str| vec![Some(text.to_owned()); 3];
    assert_eq!(texts(&batch, Meta::Source), same("orders"));
    assert_eq!(texts(&batch, Meta::Partition), same("in/b.ndjson"));
    assert_eq!(batch.meta(Meta::Offset).as_primitive::<Int64Type>().values(), &[103, 101, 101]);
}

#[test]
fn a_row_says_its_event_time_its_key_and_its_headers_where_its_source_has_them() {
    let keys = BinaryArray::from_opt_vec(vec![None, Some(b"k1"), None, Some(b"k3")]);
    let headers = StringArray::from(vec![Some("{}"), Some("{\"h\":1}"), None, None]);
    let with = batch(Some((keys, headers)), Some(vec![10, 11, 12, 13]));
    let times = with.meta(Meta::EventTime);
    assert_eq!(times.as_primitive::<TimestampMicrosecondType>().values(), &[13, 11, 11]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(texts(&with, Meta::Key), [text("k3"), text("k1"), text("k1")]);
    assert_eq!(texts(&with, Meta::Headers), [None, text("{\"h\":1}"), text("{\"h\":1}")]);

    let without = batch(None, None);
    for meta in [Meta::EventTime, Meta::Key, Meta::Headers] {
        let column = without.meta(meta);
        assert_eq!((column.len(), column.null_count()), (3, 3));
    }
}

use shuttle::thread::spawn;

fn parts(value: usize) -> Parts {
    check(value, 0).unwrap()
}

fn numbered(table: &Table, number: usize) -> usize {
    table.insert(Tag::Text, 0, Arc::new(number)).unwrap()
}

fn number(object: Object) -> usize {
    *object.downcast::<usize>().unwrap()
}

/// A handle that one thread frees is, for another that uses it, its own object or none.
pub(crate) fn a_handle_is_its_object_or_none() {
    let table = Arc::new(Table::default());
    let value = numbered(&table, 1);
    let user = {
        let table = Arc::clone(&table);
        spawn(move || match table.get(Tag::Text, parts(value)) {
            Ok(object) => assert_eq!(number(object), 1),
            Err(refusal) => assert_eq!(refusal, Refusal::Invalid),
        })
    };
    let maker = {
        let table = Arc::clone(&table);
        spawn(move || numbered(&table, 2))
    };
    let freed = table.remove(Tag::Text, parts(value)).unwrap();
    assert_eq!(number(freed), 1);
    let young = maker.join().unwrap();
    user.join().unwrap();
    assert_ne!(young, value);
    assert_eq!(number(table.get(Tag::Text, parts(young)).unwrap()), 2);
    assert!(table.get(Tag::Text, parts(value)).is_err());
}

/// Of two that free it one does, and what its end calls finds no lock held.
pub(crate) fn one_frees_it_and_its_end_may_call_back() {
    struct Calls(Arc<Table>, usize);
    impl Drop for Calls {
        fn drop(&mut self) {
            assert!(self.0.remove(Tag::Error, parts(self.1)).is_ok());
        }
    }
    let table = Arc::new(Table::default());
    let inner = table.insert(Tag::Error, 0, Arc::new(())).unwrap();
    let outer = Arc::new(Calls(Arc::clone(&table), inner));
    let value = table.insert(Tag::Text, 0, outer).unwrap();
    let freers: Vec<_> = (0..2)
        .map(|_| {
            let table = Arc::clone(&table);
            spawn(move || table.remove(Tag::Text, parts(value)).is_ok())
        })
        .collect();
    let freed = freers.into_iter().map(|freer| freer.join().unwrap());
    assert_eq!(freed.filter(|is_freed| *is_freed).count(), 1);
    assert_eq!(
        table.get(Tag::Error, parts(inner)).err(),
        Some(Refusal::Invalid)
    );
}

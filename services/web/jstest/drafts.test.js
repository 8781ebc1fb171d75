import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Drafts } from '../assets/drafts.js';
import { Store } from '../assets/storage.js';

/** What a browser keeps, as a Storage. */
class FakeStorage {
  values = new Map();
  get length() {
    return this.values.size;
  }
  key = (at) => [...this.values.keys()][at] ?? null;
  getItem = (key) => this.values.get(key) ?? null;
  setItem = (key, value) => void this.values.set(key, value);
  removeItem = (key) => void this.values.delete(key);
}

const denied = () => {
  throw new Error('SecurityError');
};
const refusing = { getItem: denied, setItem: denied, removeItem: denied, key: denied, length: 1 };
const readOnly = Object.assign(new FakeStorage(), { setItem: denied });
const stores = {
  kept: () => new FakeStorage(),
  'not to be had': denied,
  'throwing at each call': () => refusing,
  full: () => readOnly,
};

for (const [name, open] of Object.entries(stores)) {
  test(`a store that is ${name} gives back what was written`, () => {
    const storage = name === 'kept' ? open() : null;
    const store = new Store(storage ? () => storage : open);
    assert.equal(store.read('a'), null);
    store.write('a', { text: 'x' });
    store.write('b', [1]);
    assert.deepEqual(store.read('a'), { text: 'x' });
    assert.deepEqual(store.keys('a'), ['a']);
    store.erase('a');
    assert.equal(store.read('a'), null);
    assert.deepEqual(store.keys(''), ['b']);
  });
}

test('what the page has not written itself is read as nothing', () => {
  const storage = new FakeStorage();
  storage.setItem('a', '{');
  assert.equal(new Store(() => storage).read('a'), null);
});

test('a draft comes back in its room, to its writer alone', () => {
  const storage = new FakeStorage();
  const store = () => new Store(() => storage); // each page has its own
  const text = 'x'.repeat(2_000);
  new Drafts('u1', store()).change('general', { body: text, replyTo: 7 });
  new Drafts('u1', store()).edit('general', 3, 'tre');
  assert.deepEqual(new Drafts('u1', store()).of('general'), { body: text, replyTo: 7, edits: { 3: 'tre' } });
  const nothing = { body: '', replyTo: undefined, edits: {} };
  assert.deepEqual(new Drafts('u1', store()).of('tea'), nothing);
  assert.deepEqual(new Drafts('u2', store()).of('general'), nothing);
  const again = new Drafts('u1', store());
  again.change('general', { body: '', replyTo: undefined });
  assert.deepEqual(again.of('general').edits, { 3: 'tre' });
  again.edit('general', 3, null);
  assert.equal(storage.length, 0);
});

test('drafts that nobody came back to go after a month', () => {
  const storage = new FakeStorage();
  const store = new Store(() => storage);
  new Drafts('guest', store, () => 0).change('general', { body: 'hello' });
  const day = 24 * 3_600_000;
  new Drafts('u1', store, () => 29 * day);
  assert.equal(storage.length, 1);
  new Drafts('u1', store, () => 31 * day);
  assert.equal(storage.length, 0);
});

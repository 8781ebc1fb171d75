// The entry point of the page. It shows the sign-in forms or the chat, and switches between them.
import { explain } from './api.js';
import { Chat } from './chat.js';
import { find } from './dom.js';
import { showEntry, wireEntry } from './entry.js';
import { Backoff } from './parley/backoff.js';
import { Session } from './session.js';

const NO_COOKIES = 'This browser blocks cookies for this site. Allow them, or sign in again after each reload.';

/** @type {Chat | null} */
let chat = null;

const session = new Session((user) => {
  if (user) showChat(); // another tab signed in as somebody else
  else showSignIn('Your session has ended. Please sign in again.');
});

/** @param {'entry' | 'chat'} view */
function show(view) {
  document.body.dataset.view = view;
  find('#loading').hidden = true;
  find('#entry').hidden = view !== 'entry';
  find('#chat').hidden = view !== 'chat';
}

/** @param {string} [why] */
function showSignIn(why) {
  chat?.end();
  chat = null;
  document.title = 'Parley';
  show('entry');
  showEntry([why, navigator.cookieEnabled ? '' : NO_COOKIES].filter(Boolean).join(' '));
}

function showChat() {
  chat?.end();
  show('chat');
  chat = new Chat(session, () => {
    if (session.user) return; // another tab signed in as somebody else, and a new chat replaces this one
    showSignIn('Your session has ended. Please sign in again.');
  });
}

wireEntry(session, showChat);
find('#sign-out').addEventListener('click', async () => {
  chat?.forget();
  chat?.end();
  chat = null;
  try {
    await session.signOut();
    showSignIn();
  } catch (error) {
    showSignIn(`You are signed out here, but the server could not end your session: ${explain(error)}`);
  }
});

const backoff = new Backoff(2_000, 20_000, Math.random);
for (;;) {
  try {
    if (await session.resume()) showChat();
    else showSignIn();
    break;
  } catch (error) {
    // A signed-in user must not be asked for a password because a server is unreachable.
    find('#loading').textContent = `${explain(error)} This page retries automatically.`;
    await new Promise((resolve) => setTimeout(resolve, 1_000 + backoff.next()));
  }
}

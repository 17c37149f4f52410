import { useEffect, useRef, useState } from 'preact/hooks';
import { ChatModel } from '../model.ts';
import { saveGroup, saveUser, savedGroup, savedUser, takeInvite } from '../tab.ts';
import { explain } from '../words.ts';
import { Chat } from './chat.tsx';
import { SignIn } from './sign-in.tsx';

/** Signed out, or one person's chat. */
export function App() {
  const [model, setModel] = useState<ChatModel | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const invite = useRef<string | null>(null);

  async function signIn(userId: string): Promise<void> {
    setBusy(true);
    setError(null);
    const next = new ChatModel({ userId, origin: location.origin });
    next.onEnd = (reason) => {
      saveUser(null);
      setModel(null);
      setError(reason);
    };
    const patience = setTimeout(
      () => setError('The server does not answer yet. Still trying…'),
      3_000,
    );
    try {
      await next.start();
    } catch {
      // `onEnd` has said why.
      setBusy(false);
      return;
    } finally {
      clearTimeout(patience);
    }
    setError(null);
    saveUser(userId);
    setBusy(false);
    setModel(next);
    await arrive(next);
  }

  /** Where the person wanted to go: an invitation, or the group of before the reload. */
  async function arrive(at: ChatModel): Promise<void> {
    const asked = invite.current;
    invite.current = null;
    try {
      if (asked !== null) {
        await at.join(asked);
        return;
      }
      const group = savedGroup();
      if (group !== null) await at.openGroup(group);
    } catch (failure) {
      at.say(explain(failure));
    }
  }

  useEffect(() => {
    invite.current = takeInvite();
    const user = savedUser();
    if (user !== null) void signIn(user);
  }, []);

  // An invitation that is pasted into the address of an open page.
  useEffect(() => {
    const follow = (): void => {
      invite.current = takeInvite() ?? invite.current;
      if (model !== null && invite.current !== null) void arrive(model);
    };
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, [model]);

  useEffect(() => {
    if (model === null) return undefined;
    const stop = model.subscribe(() => {
      const { unread } = model;
      document.title = `${unread > 0 ? `(${unread > 99 ? '99+' : unread}) ` : ''}Hongbao 红包`;
      saveGroup(model.currentId);
    });
    const shown = (): void => model.markRead();
    document.addEventListener('visibilitychange', shown);
    return () => {
      stop();
      document.removeEventListener('visibilitychange', shown);
      document.title = 'Hongbao 红包';
    };
  }, [model]);

  if (model === null) {
    const isInvited = invite.current !== null;
    return <SignIn {...{ error, isBusy, isInvited }} onSignIn={(name) => void signIn(name)} />;
  }
  return <Chat model={model} />;
}

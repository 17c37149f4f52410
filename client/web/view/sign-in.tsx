import { useState } from 'preact/hooks';
import { parseUserId } from '../../../lib/core/user.ts';
import { Envelope } from './icons.tsx';

export function SignIn(props: {
  readonly error: string | null;
  readonly isBusy: boolean;
  readonly isInvited: boolean;
  readonly onSignIn: (userId: string) => void;
}) {
  const [name, setName] = useState('');
  const [isTouched, setTouched] = useState(false);
  const trimmed = name.trim();
  const isValid = parseUserId(trimmed) !== null;
  const problem =
    isTouched && !isValid ? 'A name has 1 to 64 bytes and no hidden characters.' : null;
  return (
    <main class="sign-in">
      <form
        class="sign-in-card"
        onSubmit={(event) => {
          event.preventDefault();
          setTouched(true);
          if (isValid && !props.isBusy) props.onSignIn(trimmed);
        }}
      >
        <div class="sign-in-hero" aria-hidden="true">
          <Envelope class="envelope envelope-hero" />
        </div>
        <h1>
          Hongbao <span lang="zh">红包</span>
        </h1>
        <p class="tagline">
          {props.isInvited
            ? 'You are invited to a group. Say who you are.'
            : 'Chat with your group, send luck in red packets.'}
        </p>
        <label class="field">
          <span>Your name</span>
          <input
            data-testid="signin-name"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            placeholder="alice"
            aria-invalid={problem !== null}
            aria-describedby="signin-problem"
            autofocus
          />
        </label>
        <p class="problem" id="signin-problem" role="alert">
          {problem ?? props.error}
        </p>
        <button class="button primary wide" data-testid="signin-go" disabled={props.isBusy}>
          {props.isBusy ? 'Signing in…' : 'Sign in'}
        </button>
        <p class="fine-print">
          Demonstration server: any name gets in, and the money is play money.
        </p>
      </form>
      <p class="blessing" lang="zh" aria-hidden="true">
        恭喜发财
      </p>
    </main>
  );
}

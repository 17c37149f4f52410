import type { ComponentChildren } from 'preact';

function Icon(props: { readonly children: ComponentChildren }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {props.children}
    </svg>
  );
}

export const BackIcon = () => (
  <Icon>
    <path d="M15 5l-7 7 7 7" />
  </Icon>
);
export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
);
export const SendIcon = () => (
  <Icon>
    <path d="M5 12h13M12 5l7 7-7 7" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
);
export const InviteIcon = () => (
  <Icon>
    <path d="M15 19c0-3-2.5-5-5.5-5S4 16 4 19M9.5 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM18 8v6M15 11h6" />
  </Icon>
);
export const LeaveIcon = () => (
  <Icon>
    <path d="M14 5H6v14h8M11 12h9M17 9l3 3-3 3" />
  </Icon>
);
export const ShieldIcon = () => (
  <Icon>
    <path d="M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z" />
    <path d="M9 12l2.2 2.200L15.5 10" />
  </Icon>
);

/** The thing itself: 红包 with its gold coin. */
export function Envelope(props: { readonly class?: string; readonly isOpen?: boolean }) {
  return (
    <svg class={props.class ?? 'envelope'} viewBox="0 0 40 48" aria-hidden="true">
      <rect class="envelope-body" x="2" y="1" width="36" height="46" rx="5" />
      {props.isOpen === true ? (
        <>
          <path class="envelope-inside" d="M2 15V6a5 5 0 0 1 5-5h26a5 5 0 0 1 5 5v9z" />
          <rect class="envelope-paper" x="8" y="5" width="24" height="16" rx="2" />
          <path class="envelope-body" d="M2 15c6 6 11 8 18 8s12-2 18-8v12H2z" />
        </>
      ) : (
        <>
          <path
            class="envelope-flap"
            d="M2 14V6a5 5 0 0 1 5-5h26a5 5 0 0 1 5 5v8c-5 6-11 9-18 9S7 20 2 14z"
          />
          <circle class="envelope-coin" cx="20" cy="23" r="6.5" />
          <path
            class="envelope-mark"
            d="M16.5 20.800h7M16.5 24h7M18.4 20.800v5.200M21.6 20.800v5.2"
          />
        </>
      )}
    </svg>
  );
}

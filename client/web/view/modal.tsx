import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/**
 * A native modal dialog: the browser keeps the focus inside, gives it back at the end, and closes
 * on Escape. A click beside it closes too.
 */
export function Modal(props: {
  readonly label: string;
  readonly class: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const { label, onClose, children } = props;
  const ref = useRef<HTMLDialogElement>(null);
  /** A text selected inside and let go outside is a click on the dialog too: not meant to close. */
  const wasPressedBeside = useRef(false);
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      class={props.class}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClose={() => {
        // A second Escape closes it whatever we say. Our own closing comes after the unmount.
        if (ref.current !== null) onClose();
      }}
      onPointerDown={(event) => {
        wasPressedBeside.current = event.target === ref.current;
      }}
      onClick={(event) => {
        if (event.target === ref.current && wasPressedBeside.current) onClose();
      }}
    >
      {children}
    </dialog>
  );
}

import { useState } from 'preact/hooks';
import type { ChatModel } from '../model.ts';
import { useStore } from '../store.ts';
import { Conversation } from './conversation.tsx';
import { GroupList } from './group-list.tsx';
import { Header } from './header.tsx';
import { Envelope } from './icons.tsx';
import { NewGroupDialog } from './new-group-dialog.tsx';
import { PacketDialog } from './packet-dialog.tsx';
import { PacketSheet } from './packet-sheet.tsx';
import { TopUpDialog } from './top-up-dialog.tsx';

export type Opened =
  | { readonly kind: 'new_group' }
  | { readonly kind: 'top_up' }
  | { readonly kind: 'new_packet'; readonly groupId: string }
  | { readonly kind: 'packet'; readonly packetId: string };

/** Everything a signed-in person sees; at most one dialog above it. */
export function Chat(props: { readonly model: ChatModel }) {
  const { model } = props;
  useStore(model);
  const [opened, setOpened] = useState<Opened | null>(null);
  const log = model.current;
  const close = (): void => setOpened(null);
  return (
    <div class={`chat ${log === null ? 'shows-list' : 'shows-group'}`}>
      <Header model={model} onTopUp={() => setOpened({ kind: 'top_up' })} />
      <div class="panes">
        <GroupList model={model} onNew={() => setOpened({ kind: 'new_group' })} />
        {log === null ? (
          <Nothing hasGroups={model.logs.size > 0} />
        ) : (
          <Conversation key={log.groupId} model={model} log={log} onOpen={setOpened} />
        )}
      </div>
      <Dialogs model={model} opened={opened} onClose={close} />
      <p class={`toast ${model.toast === null ? '' : 'is-shown'}`} role="status">
        {model.toast}
      </p>
    </div>
  );
}

function Dialogs(props: {
  readonly model: ChatModel;
  readonly opened: Opened | null;
  readonly onClose: () => void;
}) {
  const { model, opened, onClose } = props;
  switch (opened?.kind) {
    case undefined:
      return null;
    case 'new_group':
      return <NewGroupDialog model={model} onClose={onClose} />;
    case 'top_up':
      return <TopUpDialog model={model} onClose={onClose} />;
    case 'new_packet':
      return <PacketSheet model={model} groupId={opened.groupId} onClose={onClose} />;
    case 'packet':
      return (
        <PacketDialog
          key={opened.packetId}
          model={model}
          packetId={opened.packetId}
          onClose={onClose}
        />
      );
  }
}

function Nothing(props: { readonly hasGroups: boolean }) {
  return (
    <section class="nothing" aria-label="No group is open">
      <Envelope class="envelope envelope-large" />
      <p>{props.hasGroups ? 'Choose a group to read it.' : 'Create a group to begin.'}</p>
    </section>
  );
}

import type { MessageLog } from '../message-log.ts';
import { previewOf } from '../message-log.ts';
import type { ChatModel } from '../model.ts';
import { whenText } from '../time.ts';
import { Avatar } from './avatar.tsx';
import { PlusIcon } from './icons.tsx';

export function GroupList(props: { readonly model: ChatModel; readonly onNew: () => void }) {
  const { model, onNew } = props;
  const { groups } = model;
  return (
    <nav class="groups" aria-label="Groups">
      <div class="groups-head">
        <h2>Groups</h2>
        <button class="button small" data-testid="new-group" onClick={onNew}>
          <PlusIcon /> New group
        </button>
      </div>
      {groups.length === 0 && model.isReady && (
        <p class="groups-empty">
          No groups yet. Create one and invite your friends, or open an invitation link.
        </p>
      )}
      <ul class="groups-list">
        {groups.map((log) => (
          <GroupItem key={log.groupId} model={model} log={log} />
        ))}
      </ul>
    </nav>
  );
}

function GroupItem(props: { readonly model: ChatModel; readonly log: MessageLog }) {
  const { model, log } = props;
  const { summary, last } = log;
  const isCurrent = model.currentId === log.groupId;
  const { unread } = summary;
  return (
    <li>
      <button
        class={`group-item ${isCurrent ? 'is-current' : ''}`}
        data-testid="group-item"
        aria-current={isCurrent ? 'page' : undefined}
        onClick={() => void model.openGroup(log.groupId)}
      >
        <Avatar name={summary.name} class="is-square" />
        <span class="group-item-text">
          <span class="group-item-name">{summary.name}</span>
          <span class="group-item-preview">
            {last === null ? `${summary.memberCount} members` : previewOf(last, model.me)}
          </span>
        </span>
        <span class="group-item-side">
          <span class="group-item-time">{last === null ? '' : whenText(last.at, Date.now())}</span>
          {unread > 0 && (
            <span class="badge" data-testid="unread" aria-label={`${unread} unread`}>
              {unread > 99 ? '99+' : unread}
            </span>
          )}
        </span>
      </button>
    </li>
  );
}

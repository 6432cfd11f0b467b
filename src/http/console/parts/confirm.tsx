/** Whatever changes something asks once. */
import { useEffect, useRef, useState } from "preact/hooks";
import { failureText } from "../server-api.ts";
import { Problem } from "./text.tsx";

export interface ConfirmProps {
  readonly button: string;
  /** What is about to happen. */
  readonly question: preact.ComponentChildren;
  readonly act: () => Promise<unknown>;
}

/** A button that manages. */
export function Confirm({ button, question, act }: ConfirmProps) {
  const [isOpen, setOpen] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);
  const run = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      await act();
      setOpen(false);
    } catch (error) {
      setProblem(failureText(error));
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" class="danger" onClick={() => setOpen(true)}>
        {button}
      </button>
      <dialog ref={dialog} aria-label={button} onClose={() => setOpen(false)}>
        {isOpen ? (
          <>
            <p>{question}</p>
            <Problem text={problem} />
            <div class="row">
              <button type="button" class="plain" onClick={() => setOpen(false)}>
                Cancel
              </button>
              <button type="button" class="danger" disabled={isBusy} onClick={() => run()}>
                {button}
              </button>
            </div>
          </>
        ) : null}
      </dialog>
    </>
  );
}

package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"example.com/upload-router/operate"
)

func diagramCommand() *cobra.Command {
	var common commonFlags
	var svg, mermaid bool
	var config []string
	cmd := &cobra.Command{
		Use:   "diagram",
		Short: "Draw the state machine, declared or deployed",
		Long: `Draw the state machine: the one that the project declares, or, with --stack or
--outputs, the one that is deployed.

--mermaid, the default, is text that GitHub and others draw; --svg is a drawing.`,
		Example: `  upload-router diagram
  upload-router diagram --svg > machine.svg
  upload-router diagram --svg --stack dev > deployed.svg
  upload-router diagram --config notifySuccess=false`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if svg && mermaid {
				return fmt.Errorf("%w: --svg and --mermaid exclude each other: leave one out", errFlag)
			}
			format := operate.DiagramMermaid
			if svg {
				format = operate.DiagramSVG
			}
			definition, err := definition(cmd, &common, config)
			if err != nil {
				return err
			}
			drawn, err := operate.Diagram(definition, format)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(cmd.OutOrStdout(), drawn); err != nil {
				return fmt.Errorf("printing the diagram: %w", err)
			}
			return nil
		},
	}
	common.systemFlags(cmd)
	_ = cmd.Flags().MarkHidden("json") // there is nothing to print as JSON
	flags := cmd.Flags()
	flags.BoolVar(&mermaid, "mermaid", false, "as Mermaid's stateDiagram-v2 (the default)")
	flags.BoolVar(&svg, "svg", false, "as SVG")
	flags.StringArrayVarP(&config, "config", "c", nil, "declared: "+configUsage)
	return cmd
}

// definition is the deployed one if a stack is named, else the declared one.
func definition(cmd *cobra.Command, common *commonFlags, config []string) ([]byte, error) {
	if common.stack == "" && common.outputs == "" {
		declared, err := declaredConfiguration("", config)
		if err != nil {
			return nil, err
		}
		return operate.DeclaredDefinition(declared.values)
	}
	if len(config) > 0 {
		return nil, fmt.Errorf("%w: --config is for the declared state machine, not for a deployed one", errFlag)
	}
	system, err := common.system(cmd.Context(), cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	return system.Definition(cmd.Context())
}

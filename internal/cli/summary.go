package cli

import (
	"github.com/spf13/cobra"
)

func summaryCommand() *cobra.Command {
	var common commonFlags
	cmd := &cobra.Command{
		Use:   "summary",
		Short: "List what is deployed, and where",
		Long: `List what is deployed, and where: the ids and ARNs that other tools take.

--json prints them under the names of the stack's outputs.`,
		Example: `  upload-router summary --stack dev
  aws s3 ls "s3://$(upload-router summary --stack dev --json | jq -r .bucketName)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			u := newUI(cmd, &common)
			outputs, err := common.read(cmd.Context(), cmd.InOrStdin())
			if err != nil {
				return err
			}
			if u.json {
				return u.document(outputs)
			}
			u.labeled("%-18s ", "Account, Region", outputs.AccountID()+", "+outputs.Region())
			for _, o := range outputs.List() {
				value := o.Value
				if value == "" {
					value = "none"
				}
				u.labeled("%-18s ", o.Label, value)
			}
			return nil
		},
	}
	common.stackFlags(cmd)
	common.outputsFlag(cmd)
	return cmd
}
